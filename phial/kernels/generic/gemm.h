// Products of packed 4-bit and 8-bit weights with 8-bit activations.
//
// Two ways, one sequence of roundings. For few tokens the weights are streamed once: unpacked in registers, several
// tile rows in flight, the next blocks prefetched; memory is the limit. For many tokens some blocks of a tile row are
// unpacked into a buffer that stays in the first-level cache, and multiplied with one group of tokens after the other.
#pragma once

#include "phial/kernels/generic/vocabulary.h"
#include "phial/kernels/kernels.h"
#include "phial/tensor/codebooks.h"

namespace phial::kernels {

// One block of a tile row: bytes[64 s + 4 r + j] is column 4 s + j of row r.
struct UnpackedBlock {
  alignas(64) uint8_t bytes[512];
  float scale[kTileRows];
  float min[kTileRows];
};

// What differs between the packings. load(tile, s, v) gives columns 4 s .. 4 s + 3 and 4 s + 4 .. 4 s + 7 of the rows
// of vector v (s even), scale(tile, v) the scales of those rows.
template <class Simd>
struct HalfScales {
  template <class Tile>
  static typename Simd::F32 scale(const Tile& tile, int v) {
    return Simd::load_f16(tile.scale + Simd::kLanes * v);
  }
};
template <class Simd>
struct NibbleWeights : HalfScales<Simd> {
  using Dot = typename Simd::NibbleDot;
  using Bytes = typename Simd::Bytes;
  template <class Tile>
  static void load(const Tile& tile, int s, int v, Bytes& first, Bytes& second) {
    const Bytes pair = Simd::load_bytes(tile.nibbles + 32 * s + 4 * Simd::kLanes * v);
    first = Simd::low_nibbles(pair);
    second = Simd::high_nibbles(pair);
  }
};
template <class Simd>
struct Q4Weights : NibbleWeights<Simd> {
  using Tile = Q4Tile;
  static constexpr int kBias = 8;
  static constexpr bool kHasMin = false;
};
template <class Simd>
struct Q4MinWeights : NibbleWeights<Simd> {
  using Tile = Q4MinTile;
  static constexpr int kBias = 0;
  static constexpr bool kHasMin = true;
};
template <class Simd>
struct Q8Weights : HalfScales<Simd> {
  using Tile = Q8Tile;
  using Dot = typename Simd::ByteDot;
  using Bytes = typename Simd::Bytes;
  static constexpr int kBias = Dot::kBias;
  static constexpr bool kHasMin = false;
  static void load(const Tile& tile, int s, int v, Bytes& first, Bytes& second) {
    const int8_t* q = tile.q + 64 * s + 4 * Simd::kLanes * v;
    first = Dot::prepare(Simd::load_bytes(q));
    second = Dot::prepare(Simd::load_bytes(q + 64));
  }
};

// A level of a codebook as seven bits without a sign; what kCodeZero adds comes off with the sum of x.
struct Codes {
  uint8_t bytes[16];
};
template <int kLevels>
constexpr Codes codes_of(const int8_t (&levels)[kLevels]) {
  Codes codes = {};
  for (int i = 0; i < kLevels; ++i) codes.bytes[i] = static_cast<uint8_t>(levels[i] + tensor::kCodeZero);
  return codes;
}
static constexpr Codes kPhialQ4Codes = codes_of(tensor::kPhialQ4Levels);
static constexpr Codes kPhialQ3Codes = codes_of(tensor::kPhialQ3Levels);

template <class Simd>
struct CodebookWeights {
  using Dot = typename Simd::CodeDot;
  using Bytes = typename Simd::Bytes;
  static constexpr int kBias = tensor::kCodeZero;
  static constexpr bool kHasMin = false;
  template <class Tile>
  static typename Simd::F32 scale(const Tile& tile, int v) {
    return Simd::load_f8(tile.scale + Simd::kLanes * v, tensor::kF8Unit);
  }
};
template <class Simd>
struct PhialQ4Weights : CodebookWeights<Simd> {
  using Tile = PhialQ4Tile;
  using typename CodebookWeights<Simd>::Bytes;
  static void load(const Tile& tile, int s, int v, Bytes& first, Bytes& second) {
    const Bytes table = Simd::load_table(kPhialQ4Codes.bytes);
    const Bytes pair = Simd::load_bytes(tile.nibbles + 32 * s + 4 * Simd::kLanes * v);
    first = Simd::look_up(table, Simd::low_nibbles(pair));
    second = Simd::look_up(table, Simd::high_nibbles(pair));
  }
};
template <class Simd>
struct PhialQ3Weights : CodebookWeights<Simd> {
  using Tile = PhialQ3Tile;
  using typename CodebookWeights<Simd>::Bytes;
  static void load(const Tile& tile, int s, int v, Bytes& first, Bytes& second) {
    const Bytes table = Simd::load_table(kPhialQ3Codes.bytes);
    const auto plane = [&](int k) { return Simd::load_bytes(tile.planes + 64 * k + 4 * Simd::kLanes * v); };
    if (s < 6) {
      const Bytes two = plane(s / 2);
      first = Simd::look_up(table, Simd::template bits<0, 7>(two));
      second = Simd::look_up(table, Simd::template bits<3, 7>(two));
    } else {
      const Bytes third = plane(1);
      first = Simd::template bits<6, 3>(plane(0));
      second = Simd::template bits<6, 3>(plane(2));
      first = Simd::look_up(table, Simd::either(first, Simd::template bits<4, 4>(third)));
      second = Simd::look_up(table, Simd::either(second, Simd::template bits<5, 4>(third)));
    }
  }
};

template <class Tile>
static void prefetch_tile(const Tile* tile) {
  for (size_t line = 0; line < sizeof(Tile); line += 64) {
    __builtin_prefetch(reinterpret_cast<const char*>(tile) + line);
  }
}

// kRows tile rows times kTokens tokens, straight from the packed weights.
template <class Simd, class Weights, int kRows, int kTokens>
void gemm_stream(const typename Weights::Tile* w, size_t blocks, const Q8Block* x, size_t x_stride, float* y,
                 size_t y_stride) {
  using Dot = typename Weights::Dot;
  using Bytes = typename Simd::Bytes;
  constexpr int kParts = kTileRows / Simd::kLanes;
  constexpr size_t kAhead = 8;  // tiles between the one in use and the one asked of memory: 2 to 4 KiB
  typename Simd::F32 out[kTokens][kRows][kParts];
  for (auto& token : out) {
    for (auto& row : token) {
      for (auto& v : row) v = Simd::zero_f32();
    }
  }
  for (size_t b = 0; b < blocks; ++b) {
    // Past the end of these rows come those that the next call of this function reads.
    const size_t ahead = b + kAhead < blocks ? b + kAhead : b + kAhead + (kRows - 1) * blocks;
    typename Dot::Sum sums[kTokens][kRows][kParts];
    for (int t = 0; t < kTokens; ++t) {
      for (auto& row : sums[t]) {
        for (auto& sum : row) sum = Dot::start(Weights::kBias, x[t * x_stride + b].sum);
      }
    }
#pragma GCC unroll 4
    for (int s = 0; s < 8; s += 2) {
      Bytes first_x[kTokens];
      Bytes second_x[kTokens];
      for (int t = 0; t < kTokens; ++t) {
        first_x[t] = Simd::repeat4(x[t * x_stride + b].q + 4 * s);
        second_x[t] = Simd::repeat4(x[t * x_stride + b].q + 4 * s + 4);
      }
#pragma GCC unroll 4
      for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
        for (int v = 0; v < kParts; ++v) {
          Bytes first;
          Bytes second;
          Weights::load(w[r * blocks + b], s, v, first, second);
          for (int t = 0; t < kTokens; ++t) {
            Dot::add(sums[t][r][v], first, first_x[t]);
            Dot::add(sums[t][r][v], second, second_x[t]);
          }
        }
      }
    }
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
      const typename Weights::Tile& tile = w[r * blocks + b];
      prefetch_tile(w + r * blocks + ahead);
#pragma GCC unroll 4
      for (int v = 0; v < kParts; ++v) {
        const auto scale = Weights::scale(tile, v);
        for (int t = 0; t < kTokens; ++t) {
          const Q8Block& block = x[t * x_stride + b];
          const auto sum = Simd::to_f32(Dot::total(sums[t][r][v], Weights::kBias, block.sum));
          out[t][r][v] = Simd::fma(sum, Simd::mul(scale, Simd::set_f32(block.scale)), out[t][r][v]);
          if constexpr (Weights::kHasMin) {
            const auto lift = Simd::set_f32(block.scale * static_cast<float>(block.sum));
            out[t][r][v] = Simd::fma(Simd::load_f16(tile.min + Simd::kLanes * v), lift, out[t][r][v]);
          }
        }
      }
    }
  }
  for (int t = 0; t < kTokens; ++t) {
    for (int r = 0; r < kRows; ++r) {
      for (int v = 0; v < kParts; ++v) {
        Simd::store_f32(y + t * y_stride + kTileRows * r + Simd::kLanes * v, out[t][r][v]);
      }
    }
  }
}

template <class Simd, class Weights>
void unpack(const typename Weights::Tile& tile, UnpackedBlock& out) {
  for (int v = 0; v < kTileRows / Simd::kLanes; ++v) {
    const int first_row = Simd::kLanes * v;
    for (int s = 0; s < 8; s += 2) {
      typename Simd::Bytes first;
      typename Simd::Bytes second;
      Weights::load(tile, s, v, first, second);
      Simd::store_bytes(out.bytes + 64 * s + 4 * first_row, first);
      Simd::store_bytes(out.bytes + 64 * s + 64 + 4 * first_row, second);
    }
    Simd::store_f32(out.scale + first_row, Weights::scale(tile, v));
    if constexpr (Weights::kHasMin) Simd::store_f32(out.min + first_row, Simd::load_f16(tile.min + first_row));
  }
}

// Some blocks of kRows tile rows, unpacked: tiles[b * kRows + r]. While the first group of tokens is multiplied, the
// packed tiles that come next are fetched: `next`, kRows rows of row stride `next_stride`.
template <class Tile>
struct Chunk {
  const UnpackedBlock* tiles;
  size_t first, blocks;
  const Tile* next;
  size_t next_stride;
};

// y += the chunk times kTokens tokens; y starts at 0 with the first chunk. The tokens and sums that are `ahead` tokens
// further, which the next call takes, are fetched: they lie rows apart, where no processor foresees them.
template <class Simd, class Weights, int kRows, int kTokens>
void gemm_unpacked(const Chunk<typename Weights::Tile>& chunk, bool fetch, size_t ahead, const Q8Block* x,
                   size_t x_stride, float* y, size_t y_stride) {
  using Dot = typename Weights::Dot;
  constexpr int kParts = kTileRows / Simd::kLanes;
  constexpr int kVectors = kRows * kParts;  // vector i holds rows kLanes * i .. of the kRows * 16 rows
  typename Simd::F32 out[kTokens][kVectors];
#pragma GCC unroll 8
  for (int t = 0; t < kTokens; ++t) {
#pragma GCC unroll 8
    for (int i = 0; i < kVectors; ++i) {
      out[t][i] = chunk.first == 0 ? Simd::zero_f32() : Simd::load_f32(y + t * y_stride + Simd::kLanes * i);
    }
    __builtin_prefetch(y + (t + ahead) * y_stride);
  }
  x += chunk.first;
  for (size_t b = 0; b < chunk.blocks; ++b) {
    const UnpackedBlock* w = chunk.tiles + b * kRows;
    if (fetch) {
      for (size_t r = 0; r < kRows; ++r) prefetch_tile(chunk.next + r * chunk.next_stride + b);
    }
    typename Dot::Sum sums[kTokens][kVectors];
#pragma GCC unroll 8
    for (int t = 0; t < kTokens; ++t) {
      __builtin_prefetch(x + (t + ahead) * x_stride + b);
#pragma GCC unroll 8
      for (int i = 0; i < kVectors; ++i) sums[t][i] = Dot::start(Weights::kBias, x[t * x_stride + b].sum);
    }
#pragma GCC unroll 8
    for (int s = 0; s < 8; ++s) {
      typename Simd::Bytes weights[kVectors];
#pragma GCC unroll 8
      for (int i = 0; i < kVectors; ++i) {
        weights[i] = Simd::load_bytes(w[i / kParts].bytes + 64 * s + 4 * Simd::kLanes * (i % kParts));
      }
#pragma GCC unroll 8
      for (int t = 0; t < kTokens; ++t) {
        const auto four = Simd::repeat4(x[t * x_stride + b].q + 4 * s);
#pragma GCC unroll 8
        for (int i = 0; i < kVectors; ++i) Dot::add(sums[t][i], weights[i], four);
      }
    }
#pragma GCC unroll 8
    for (int t = 0; t < kTokens; ++t) {
      const Q8Block& block = x[t * x_stride + b];
      const auto x_scale = Simd::set_f32(block.scale);
#pragma GCC unroll 8
      for (int i = 0; i < kVectors; ++i) {
        const int row = Simd::kLanes * (i % kParts);
        const auto scale = Simd::mul(Simd::load_f32(w[i / kParts].scale + row), x_scale);
        const auto sum = Simd::to_f32(Dot::total(sums[t][i], Weights::kBias, block.sum));
        out[t][i] = Simd::fma(sum, scale, out[t][i]);
        if constexpr (Weights::kHasMin) {
          const auto lift = Simd::set_f32(block.scale * static_cast<float>(block.sum));
          out[t][i] = Simd::fma(Simd::load_f32(w[i / kParts].min + row), lift, out[t][i]);
        }
      }
    }
  }
#pragma GCC unroll 8
  for (int t = 0; t < kTokens; ++t) {
#pragma GCC unroll 8
    for (int i = 0; i < kVectors; ++i) Simd::store_f32(y + t * y_stride + Simd::kLanes * i, out[t][i]);
  }
}

// Tokens [t, args.n_tokens) in groups of kTokens, the rest in one smaller group.
template <class Simd, class Weights, int kRows, int kTokens>
void gemm_token_groups(const Chunk<typename Weights::Tile>& chunk, size_t t, float* y, const GemmArgs& args) {
  for (; t + kTokens <= args.n_tokens; t += kTokens) {
    const size_t ahead = t + 2 * kTokens <= args.n_tokens ? kTokens : 0;
    gemm_unpacked<Simd, Weights, kRows, kTokens>(chunk, t == 0, ahead, args.x + t * args.x_stride, args.x_stride,
                                                 y + t * args.y_stride, args.y_stride);
  }
  if constexpr (kTokens > 1) {
    if (t < args.n_tokens) gemm_token_groups<Simd, Weights, kRows, kTokens - 1>(chunk, t, y, args);
  }
}

template <class Simd, class Weights, int kRows>
void gemm_many(const typename Weights::Tile* w, float* y, const GemmArgs& args) {
  UnpackedBlock tiles[Simd::kGemmBlocks * kRows];
  for (size_t first = 0; first < args.blocks; first += Simd::kGemmBlocks) {
    const size_t n = args.blocks - first < Simd::kGemmBlocks ? args.blocks - first : Simd::kGemmBlocks;
    for (size_t b = 0; b < n; ++b) {
      for (size_t r = 0; r < kRows; ++r) unpack<Simd, Weights>(w[r * args.blocks + first + b], tiles[b * kRows + r]);
    }
    const auto* next = w + (first + n < args.blocks ? first + n : kRows * args.blocks);
    gemm_token_groups<Simd, Weights, kRows, Simd::kGemmTokens>(
        {.tiles = tiles, .first = first, .blocks = n, .next = next, .next_stride = args.blocks}, 0, y, args);
  }
}

// Several tile rows in flight read weights faster than one, as far as the registers hold their sums: from `row` on,
// kRows at a time, the rest in smaller groups.
template <class Simd, class Weights, int kRows, int kTokens>
void stream_rows(const typename Weights::Tile* w, size_t row, const GemmArgs& args) {
  if constexpr (kRows * kTokens <= Simd::kStreamTokens) {
    for (; row + kRows <= args.tile_rows; row += kRows) {
      gemm_stream<Simd, Weights, kRows, kTokens>(w + row * args.blocks, args.blocks, args.x, args.x_stride,
                                                 args.y + row * kTileRows, args.y_stride);
    }
  }
  if constexpr (kRows > 1) stream_rows<Simd, Weights, kRows / 2, kTokens>(w, row, args);
}

template <class Simd, class Weights, int kTokens>
void gemm_few(const typename Weights::Tile* w, const GemmArgs& args) {
  if (args.n_tokens == kTokens) {
    stream_rows<Simd, Weights, Simd::kStreamRows, kTokens>(w, 0, args);
  } else if constexpr (kTokens > 1) {
    gemm_few<Simd, Weights, kTokens - 1>(w, args);
  }
}

template <class Simd, class Weights, int kRows>
void unpack_rows(const typename Weights::Tile* w, size_t row, const GemmArgs& args) {
  for (; row + kRows <= args.tile_rows; row += kRows) {
    gemm_many<Simd, Weights, kRows>(w + row * args.blocks, args.y + row * kTileRows, args);
  }
  if constexpr (kRows > 1) unpack_rows<Simd, Weights, 1>(w, row, args);
}

template <class Simd, class Weights>
void gemm_rows(const typename Weights::Tile* w, const GemmArgs& args) {
  if (args.n_tokens <= Simd::kStreamTokens) {
    gemm_few<Simd, Weights, Simd::kStreamTokens>(w, args);
  } else {
    unpack_rows<Simd, Weights, Simd::kGemmRows>(w, 0, args);
  }
}

// multiply(args) of as many tokens at a time as stay in a core's own cache while the tile rows pass by.
template <class Multiply>
void in_cached_steps(const GemmArgs& args, Multiply multiply) {
  constexpr size_t kCachedBytes = size_t{1} << 20;
  const size_t fit = kCachedBytes / (args.blocks * sizeof(Q8Block));
  const size_t step = fit < 16 ? 16 : fit;
  for (size_t t = 0; t < args.n_tokens; t += step) {
    GemmArgs some = args;
    some.n_tokens = args.n_tokens - t < step ? args.n_tokens - t : step;
    some.x += t * args.x_stride;
    some.y += t * args.y_stride;
    multiply(some);
  }
}

template <class Simd, class Weights>
void gemm_of(const typename Weights::Tile* w, const GemmArgs& args) {
  in_cached_steps(args, [w](const GemmArgs& some) { gemm_rows<Simd, Weights>(w, some); });
}
template <class Simd>
void gemm_q4(const Q4Tile* w, const GemmArgs& args) {
  gemm_of<Simd, Q4Weights<Simd>>(w, args);
}
template <class Simd>
void gemm_q4_min(const Q4MinTile* w, const GemmArgs& args) {
  gemm_of<Simd, Q4MinWeights<Simd>>(w, args);
}
template <class Simd>
void gemm_q8(const Q8Tile* w, const GemmArgs& args) {
  gemm_of<Simd, Q8Weights<Simd>>(w, args);
}
template <class Simd>
void gemm_phial_q4(const PhialQ4Tile* w, const GemmArgs& args) {
  gemm_of<Simd, PhialQ4Weights<Simd>>(w, args);
}
template <class Simd>
void gemm_phial_q3(const PhialQ3Tile* w, const GemmArgs& args) {
  gemm_of<Simd, PhialQ3Weights<Simd>>(w, args);
}

}  // namespace phial::kernels
