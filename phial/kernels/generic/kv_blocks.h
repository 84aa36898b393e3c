// Keys and values that are stored in blocks with a scale: rounding of rows, and attention over them.
//
// For several queries some rows at a time are written out as floats into the first-level cache, where the loops of
// attention.h read them: a row is unpacked once for all. One query, which needs each number once, unpacks in registers.
// What is computed of a row has the bits that floats would have given, either way. The numbers themselves are exact:
// f16 times a small integer fits an f32.
#pragma once

#include <stddef.h>

#include "phial/kernels/generic/attention.h"
#include "phial/kernels/generic/vocabulary.h"
#include "phial/kernels/kernels.h"

namespace phial::kernels {

template <class Simd>
constexpr int kBlockVectors = kBlock / Simd::kLanes;

// A block's f16s stand first in it, the scale and then the minimum: they are read from there together.
static_assert(offsetof(KvQ8, scale) == 0 && offsetof(KvQ4, scale) == 0 && offsetof(KvQ4, min) == sizeof(uint16_t));

// The numbers of a block: vector(i) holds kLanes columns from kLanes * i on. kHalves: its f16s.
template <class Simd, class Block>
struct BlockNumbers;
template <class Simd>
struct BlockNumbers<Simd, KvQ8> {
  using F32 = typename Simd::F32;
  static constexpr int kHalves = 1;
  const KvQ8& block;
  F32 scale;

  BlockNumbers(const KvQ8& from, const float* halves) : block(from), scale(Simd::set_f32(halves[0])) {}
  F32 vector(int i) const { return Simd::mul(scale, Simd::load_i8(block.q + Simd::kLanes * i)); }
};
template <class Simd>
struct BlockNumbers<Simd, KvQ4> {
  using F32 = typename Simd::F32;
  static constexpr int kHalves = 2;
  const KvQ4& block;
  F32 scale, min;

  BlockNumbers(const KvQ4& from, const float* halves)
      : block(from), scale(Simd::set_f32(halves[0])), min(Simd::set_f32(halves[1])) {}
  // The product is exact: eleven bits times four.
  F32 vector(int i) const {
    constexpr int kHalf = kBlockVectors<Simd> / 2;
    const uint8_t* nibbles = block.nibbles + Simd::kLanes * (i % kHalf);
    return Simd::mul_add(scale, i < kHalf ? Simd::load_low_nibbles(nibbles) : Simd::load_high_nibbles(nibbles), min);
  }
};

// The f16s of some rows of blocks as floats, in order. They are collected by loads and stores alone: the units that
// multiply have enough to do, and one conversion serves many.
template <class Simd, class Block>
struct BlockScales {
  static constexpr size_t kHalves = BlockNumbers<Simd, Block>::kHalves;
  static constexpr size_t kMostRows = 32, kMostBlocks = 8;
  alignas(64) uint16_t halves[kMostRows * kMostBlocks * kHalves];
  alignas(64) float floats[kMostRows * kMostBlocks * kHalves];

  void collect(const KvRows<Block>& rows, size_t blocks) {
    uint16_t* to = halves;
    const Block* row = rows.first;
    for (size_t n = 0; n < rows.n; ++n, row += rows.stride) {
      for (size_t b = 0; b < blocks; ++b, to += kHalves) {
        memcpy(to, row + b, kHalves * sizeof *to);
        // Else the compiler joins the copies into shuffles of vectors, which want the units that multiply.
        asm volatile("" : : : "memory");
      }
    }
    const size_t n = static_cast<size_t>(to - halves);
    for (size_t i = n; i % Simd::kLanes != 0; ++i) halves[i] = 0;  // converted too
    for (size_t i = 0; i < n; i += Simd::kLanes) Simd::store_f32(floats + i, Simd::load_f16(halves + i));
  }
  const float* of(size_t row, size_t block, size_t blocks) const { return floats + (row * blocks + block) * kHalves; }
};

template <class Simd, class Block>
void unpack(const Block& block, float* out) {
  float halves[BlockNumbers<Simd, Block>::kHalves];
  for (size_t i = 0; i < sizeof halves / sizeof *halves; ++i) {
    uint16_t half;
    memcpy(&half, reinterpret_cast<const char*>(&block) + i * sizeof half, sizeof half);
    halves[i] = Simd::from_f16(half);
  }
  const BlockNumbers<Simd, Block> numbers(block, halves);
#pragma GCC unroll 8
  for (int i = 0; i < kBlockVectors<Simd>; ++i) Simd::store_f32(out + Simd::kLanes * i, numbers.vector(i));
}

// Some rows of blocks as floats, an odd number of cache lines apart.
template <class Simd, class Block>
struct Unpacked {
  static constexpr size_t kMostRows = 32;  // 14 KiB of heads of 96
  alignas(64) float floats[kMostRows * (256 + 16)];
  size_t blocks, stride, most_rows;

  // E at most 8192.
  explicit Unpacked(size_t E) : blocks((E + kBlock - 1) / kBlock), stride(blocks * kBlock + 16) {
    const size_t room = sizeof floats / sizeof *floats / stride;
    most_rows = room < kMostRows ? room : kMostRows;
  }

  KvRows<float> rows(const KvRows<Block>& from, ReadAhead<Simd>& ahead) {
    const Block* row = from.first;
    for (size_t n = 0; n < from.n; ++n, row += from.stride) {
      ahead.read(blocks * sizeof(Block));
      for (size_t b = 0; b < blocks; ++b) unpack<Simd>(row[b], floats + n * stride + b * kBlock);
    }
    return {floats, stride, from.n};
  }
};

// One query against rows [n, n + kKeys) of those whose scales are given, with the sums of score_keys.
template <class Simd, int kKeys, class Block>
void score_keys_of_blocks(const float* q, const KvRows<Block>& keys, const BlockScales<Simd, Block>& scales, size_t n,
                          size_t blocks, float scale, float* scores, ReadAhead<Simd>& ahead) {
  constexpr int kVectors = kBlockVectors<Simd>;
  size_t row[kKeys];
#pragma GCC unroll 8
  for (size_t k = 0; k < kKeys; ++k) row[k] = n + k < keys.n ? n + k : n;
  typename Simd::F32 sums[kKeys];
#pragma GCC unroll 8
  for (int k = 0; k < kKeys; ++k) sums[k] = Simd::zero_f32();
  for (size_t b = 0; b < blocks; ++b, q += kBlock) {
    ahead.read(kKeys * sizeof(Block));
    typename Simd::F32 query[kVectors];
#pragma GCC unroll 8
    for (int i = 0; i < kVectors; ++i) query[i] = Simd::load_f32(q + Simd::kLanes * i);
#pragma GCC unroll 8
    for (int k = 0; k < kKeys; ++k) {
      const BlockNumbers<Simd, Block> numbers(keys.first[row[k] * keys.stride + b], scales.of(row[k], b, blocks));
#pragma GCC unroll 8
      for (int i = 0; i < kVectors; ++i) sums[k] = Simd::mul_add(query[i], numbers.vector(i), sums[k]);
    }
  }
  store_scores<Simd>(sums, keys.n - n, scale, scores);
}

// kBlocks blocks from b on of one query's weights times rows, with the sums of mix_columns; what is left with fewer.
template <class Simd, int kBlocks, class Block>
void mix_rows_of_blocks(const float* weights, const KvRows<Block>& values, const BlockScales<Simd, Block>& scales,
                        size_t b, size_t blocks, float* out, ReadAhead<Simd>& ahead) {
  constexpr int kVectors = kBlockVectors<Simd>;
  for (; b + kBlocks <= blocks; b += kBlocks) {
    typename Simd::F32 sums[kBlocks][kVectors];
    float* const to = out + b * kBlock;
#pragma GCC unroll 4
    for (int j = 0; j < kBlocks; ++j) {
#pragma GCC unroll 8
      for (int i = 0; i < kVectors; ++i) sums[j][i] = Simd::load_f32(to + j * kBlock + Simd::kLanes * i);
    }
    const Block* row = values.first + b;
    for (size_t n = 0; n < values.n; ++n, row += values.stride) {
      if (b == 0) ahead.read(blocks * sizeof(Block));
      const auto weight = Simd::set_f32(weights[n]);
#pragma GCC unroll 4
      for (int j = 0; j < kBlocks; ++j) {
        const BlockNumbers<Simd, Block> numbers(row[j], scales.of(n, b + static_cast<size_t>(j), blocks));
#pragma GCC unroll 8
        for (int i = 0; i < kVectors; ++i) sums[j][i] = Simd::fma(weight, numbers.vector(i), sums[j][i]);
      }
    }
#pragma GCC unroll 4
    for (int j = 0; j < kBlocks; ++j) {
#pragma GCC unroll 8
      for (int i = 0; i < kVectors; ++i) Simd::store_f32(to + j * kBlock + Simd::kLanes * i, sums[j][i]);
    }
  }
  if constexpr (kBlocks > 1) mix_rows_of_blocks<Simd, kBlocks - 1>(weights, values, scales, b, blocks, out, ahead);
}

// Whether one query unpacks rows of E columns in registers.
template <class Simd, class Block>
bool is_streamed(size_t n_queries, size_t E) {
  return n_queries == 1 && E % kBlock == 0 && E / kBlock <= BlockScales<Simd, Block>::kMostBlocks;
}

template <class Simd, class Block>
void scores_of_blocks(const float* q, size_t q_stride, size_t n_queries, const KvRows<Block>& keys, size_t E,
                      float scale, float* out, size_t out_stride) {
  ReadAhead<Simd> ahead(keys);
  if (is_streamed<Simd, Block>(n_queries, E)) {
    const size_t blocks = E / kBlock;
    BlockScales<Simd, Block> scales;
    for (size_t n = 0; n < keys.n; n += scales.kMostRows) {
      const KvRows<Block> some = some_of(keys, n, scales.kMostRows);
      scales.collect(some, blocks);
      constexpr int kKeys = Simd::kLanes == 16 ? 8 : 4;
      for (size_t i = 0; i < some.n; i += kKeys) {
        score_keys_of_blocks<Simd, kKeys>(q, some, scales, i, blocks, scale, out + n + i, ahead);
      }
    }
    return;
  }
  Unpacked<Simd, Block> unpacked(E);
  for (size_t n = 0; n < keys.n; n += unpacked.most_rows) {
    const KvRows<float> floats = unpacked.rows(some_of(keys, n, unpacked.most_rows), ahead);
    score_rows<Simd, Simd::kQueryTile, 4>(q, q_stride, n_queries, floats, E, scale, out + n, out_stride, nullptr);
  }
}

template <class Simd, class Block>
void mix_blocks(const float* weights, size_t weights_stride, size_t n_queries, const KvRows<Block>& values, size_t E,
                float* out, size_t out_stride) {
  ReadAhead<Simd> ahead(values);
  if (is_streamed<Simd, Block>(n_queries, E)) {
    constexpr int kBlocks = 8 / kBlockVectors<Simd>;  // eight sums hide the latency of a multiply-add
    const size_t blocks = E / kBlock;
    BlockScales<Simd, Block> scales;
    for (size_t n = 0; n < values.n; n += scales.kMostRows) {
      const KvRows<Block> some = some_of(values, n, scales.kMostRows);
      scales.collect(some, blocks);
      mix_rows_of_blocks<Simd, kBlocks>(weights + n, some, scales, 0, blocks, out, ahead);
    }
    return;
  }
  Unpacked<Simd, Block> unpacked(E);
  for (size_t n = 0; n < values.n; n += unpacked.most_rows) {
    const KvRows<float> floats = unpacked.rows(some_of(values, n, unpacked.most_rows), ahead);
    mix_rows<Simd, Simd::kQueryTile>(weights + n, weights_stride, 0, n_queries, floats, E, out, out_stride, nullptr);
  }
}

// The vectors of one block, columns past n filled with the first; their largest and smallest numbers.
template <class Simd>
struct BlockOfFloats {
  static constexpr int kVectors = kBlockVectors<Simd>;
  typename Simd::F32 v[kVectors];
  float highest, lowest;

  BlockOfFloats(const float* x, size_t n) {
    auto most = Simd::set_f32(x[0]);
    auto least_negated = Simd::set_f32(-x[0]);
    for (int i = 0; i < kVectors; ++i) {
      const size_t begin = size_t{Simd::kLanes} * i;
      if (begin + Simd::kLanes <= n) {
        v[i] = Simd::load_f32(x + begin);
      } else {
        v[i] = begin < n ? Simd::load_some_f32(x + begin, n - begin, x[0]) : Simd::set_f32(x[0]);
      }
      most = Simd::max(most, v[i]);
      least_negated = Simd::max(least_negated, Simd::sub(Simd::zero_f32(), v[i]));
    }
    highest = Simd::max_across(most);
    lowest = 0 - Simd::max_across(least_negated);
  }
};

// The least f16 whose `steps` steps reach as far as `range`, so that no quotient needs to be cut off.
template <class Simd>
uint16_t scale_for(float range, float steps) {
  const uint16_t scale = Simd::to_f16(range / steps);
  return static_cast<uint16_t>(scale + (Simd::from_f16(scale) * steps < range ? 1 : 0));
}

template <class Simd>
typename Simd::F32 inverse_of(uint16_t scale) {
  const float value = Simd::from_f16(scale);
  return Simd::set_f32(value > 0 ? 1 / value : 0);
}

template <class Simd>
void quantize_kv_q8(const float* x, size_t E, KvQ8* out) {
  for (size_t e = 0; e < E; e += kBlock, ++out) {
    const BlockOfFloats<Simd> from(x + e, E - e);
    float most = from.highest > 0 ? from.highest : 0;
    if (most < -from.lowest) most = -from.lowest;
    out->scale = scale_for<Simd>(most, 127);
    const auto inverse = inverse_of<Simd>(out->scale);
    for (int i = 0; i < from.kVectors; ++i) {
      Simd::store_i8(out->q + Simd::kLanes * i, Simd::to_i32(Simd::mul(from.v[i], inverse)));
    }
  }
}

template <class Simd>
void quantize_kv_q4(const float* x, size_t E, KvQ4* out) {
  for (size_t e = 0; e < E; e += kBlock, ++out) {
    const BlockOfFloats<Simd> from(x + e, E - e);
    out->min = Simd::to_f16(from.lowest);
    const float min = Simd::from_f16(out->min);
    out->scale = scale_for<Simd>(from.highest > min ? from.highest - min : 0, 15);
    const auto inverse = inverse_of<Simd>(out->scale);
    int8_t n[kBlock];
    for (int i = 0; i < from.kVectors; ++i) {
      const auto steps = Simd::mul(Simd::sub(from.v[i], Simd::set_f32(min)), inverse);
      Simd::store_i8(n + Simd::kLanes * i, Simd::to_i32(Simd::max(steps, Simd::zero_f32())));
    }
    for (int c = 0; c < kBlock / 2; ++c) {
      out->nibbles[c] = static_cast<uint8_t>(n[c] | n[c + kBlock / 2] << 4);
    }
  }
}

}  // namespace phial::kernels
