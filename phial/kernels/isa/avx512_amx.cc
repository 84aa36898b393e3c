// AMX (Intel's servers since Sapphire Rapids): one instruction multiplies 16 rows of 32 columns with 16 tokens. Its
// sums end with a block of columns, since the scales change there: most of the time goes into taking them out of the
// tiles. Fewer tokens than two groups go the way of avx512_vnni.
//
// Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 1, chapter 18 (tiles), and TDPBSSD.
#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "phial/kernels/generic/gemm.h"
#include "phial/kernels/kernels.h"

namespace phial::kernels {
namespace {

#include "phial/kernels/isa/avx512_words.h"

#include "phial/kernels/isa/avx512_vnni_words.h"

using Simd = Avx512VnniWords;

constexpr size_t kTokens = 16;  // of a group: rows of a tile
constexpr size_t kRows = 16;    // tile rows that share a group once it is laid out; unpacked they are 160 KiB of stack
constexpr size_t kChunk = 16;   // blocks unpacked at a time
constexpr int kSteps = kBlock / 4;

// Tiles 0 and 1 hold sums (token, row), 2 and 3 tokens, 4 and 5 weights.
class Tiles {
 public:
  Tiles() {
    for (int tile = 0; tile < 6; ++tile) {
      const bool is_tokens = tile == 2 || tile == 3;
      shape_.bytes_of_row[tile] = is_tokens ? kBlock : 64;
      shape_.rows[tile] = tile >= 4 ? kSteps : kTokens;
    }
    _tile_loadconfig(&shape_);
  }
  ~Tiles() { _tile_release(); }
  Tiles(const Tiles&) = delete;
  Tiles& operator=(const Tiles&) = delete;

 private:
  struct alignas(64) Shape {
    uint8_t palette = 1, start_row = 0, reserved[14] = {};
    uint16_t bytes_of_row[16] = {};
    uint8_t rows[16] = {};
  };
  Shape shape_;
};

// As UnpackedBlock, with the sign that the instruction wants: q[64 s + 4 r + j] is column 4 s + j of row r.
struct SignedBlock {
  alignas(64) int8_t q[512];
  float scale[kTileRows];
  float min[kTileRows];
};

template <class Weights>
void unpack_signed(const typename Weights::Tile& tile, SignedBlock& out) {
  const __m512i bias = _mm512_set1_epi8(static_cast<char>(Weights::kBias));
  for (int s = 0; s < kSteps; s += 2) {
    __m512i first;
    __m512i second;
    Weights::load(tile, s, 0, first, second);
    Simd::store_bytes(out.q + 64 * s, _mm512_sub_epi8(first, bias));
    Simd::store_bytes(out.q + 64 * s + 64, _mm512_sub_epi8(second, bias));
  }
  Simd::store_f32(out.scale, Weights::scale(tile, 0));
  if constexpr (Weights::kHasMin) Simd::store_f32(out.min, Simd::load_f16(tile.min));
}

// One block of a group of tokens; lift is what a weight's min is multiplied with.
struct TokenBlock {
  alignas(64) int8_t q[kTokens][kBlock];
  float scale[kTokens];
  float lift[kTokens];
};

// A group that is not full is given its last token again and again.
template <class Weights>
void lay_out(const Q8Block* x, size_t x_stride, size_t n_tokens, size_t blocks, TokenBlock* out) {
  for (size_t t = 0; t < kTokens; ++t) {
    const Q8Block* from = x + (t < n_tokens ? t : n_tokens - 1) * x_stride;
    for (size_t b = 0; b < blocks; ++b) {
      memcpy(out[b].q[t], from[b].q, kBlock);
      out[b].scale[t] = from[b].scale;
      if constexpr (Weights::kHasMin) out[b].lift[t] = from[b].scale * static_cast<float>(from[b].sum);
    }
  }
}

// Blocks take turns with two tiles of sums, so that one is multiplied while the other is taken out.
template <int kTurn>
void multiply_block(const SignedBlock& w, const TokenBlock& x) {
  if constexpr (kTurn == 0) {
    _tile_loadd(2, x.q, kBlock);
    _tile_loadd(4, w.q, 64);
    _tile_zero(0);
    _tile_dpbssd(0, 2, 4);
  } else {
    _tile_loadd(3, x.q, kBlock);
    _tile_loadd(5, w.q, 64);
    _tile_zero(1);
    _tile_dpbssd(1, 3, 5);
  }
}
template <int kTurn>
void store_sums(int32_t* sums) {
  if constexpr (kTurn == 0) {
    _tile_stored(0, sums, 64);
  } else {
    _tile_stored(1, sums, 64);
  }
}

// What a block's scale makes of its sums, in the order of roundings that the menu states.
template <class Weights>
[[gnu::always_inline]] inline void add_block(const SignedBlock& w, const TokenBlock& x, const int32_t* sums,
                                             __m512 (&out)[kTokens]) {
  const __m512 w_scale = Simd::load_f32(w.scale);
#pragma GCC unroll 16
  for (size_t t = 0; t < kTokens; ++t) {
    const __m512 sum = Simd::to_f32(_mm512_load_si512(sums + kTileRows * t));
    out[t] = Simd::fma(sum, Simd::mul(w_scale, Simd::set_f32(x.scale[t])), out[t]);
    if constexpr (Weights::kHasMin) out[t] = Simd::fma(Simd::load_f32(w.min), Simd::set_f32(x.lift[t]), out[t]);
  }
}

// y of 16 tokens += one tile row of `blocks` blocks; y starts at 0 if `is_first`. y[t] belongs to token t.
template <class Weights>
void multiply_row(const SignedBlock* w, const TokenBlock* x, size_t blocks, bool is_first, float* const* y,
                  size_t row) {
  alignas(64) int32_t sums[2][kTokens * kTileRows];
  __m512 out[kTokens];
#pragma GCC unroll 16
  for (size_t t = 0; t < kTokens; ++t) out[t] = is_first ? Simd::zero_f32() : Simd::load_f32(y[t] + row);
  // Three stages: a block is multiplied, its sums are stored a turn later, and added up after one more.
  for (size_t b = 0; b < blocks + 2; b += 2) {
    if (b < blocks) multiply_block<0>(w[b], x[b]);
    if (b >= 2) {
      if (b - 1 < blocks) store_sums<1>(sums[1]);
      add_block<Weights>(w[b - 2], x[b - 2], sums[0], out);
    }
    if (b + 1 < blocks) multiply_block<1>(w[b + 1], x[b + 1]);
    if (b < blocks) store_sums<0>(sums[0]);
    if (b >= 2 && b - 1 < blocks) add_block<Weights>(w[b - 1], x[b - 1], sums[1], out);
  }
#pragma GCC unroll 16
  for (size_t t = 0; t < kTokens; ++t) Simd::store_f32(y[t] + row, out[t]);
}

// The compiler does not know that tiles are read from memory.
void written(const void* p) { asm volatile("" : : "r"(p) : "memory"); }

// `rows` <= kRows tile rows times all tokens.
template <class Weights>
void multiply_many(const typename Weights::Tile* w, size_t rows, float* y, const GemmArgs& args) {
  SignedBlock tiles[kRows][kChunk];
  TokenBlock tokens[kChunk];
  for (size_t first = 0; first < args.blocks; first += kChunk) {
    const size_t blocks = args.blocks - first < kChunk ? args.blocks - first : kChunk;
    // What comes next is fetched while this is multiplied.
    const auto* next = w + (first + blocks < args.blocks ? first + blocks : rows * args.blocks);
    for (size_t r = 0; r < rows; ++r) {
      for (size_t b = 0; b < blocks; ++b) {
        unpack_signed<Weights>(w[r * args.blocks + first + b], tiles[r][b]);
        prefetch_tile(next + r * args.blocks + b);
      }
    }
    written(tiles);
    for (size_t token = 0; token < args.n_tokens; token += kTokens) {
      const size_t left = args.n_tokens - token;
      lay_out<Weights>(args.x + token * args.x_stride + first, args.x_stride, left, blocks, tokens);
      written(tokens);
      float* to[kTokens];
      for (size_t t = 0; t < kTokens; ++t) to[t] = y + (token + (t < left ? t : left - 1)) * args.y_stride;
      for (size_t r = 0; r < rows; ++r) {
        multiply_row<Weights>(tiles[r], tokens, blocks, first == 0, to, kTileRows * r);
      }
    }
  }
}

template <class Weights>
void multiply(const typename Weights::Tile* w, const GemmArgs& args) {
  if (args.n_tokens < 2 * kTokens) {
    gemm_rows<Simd, Weights>(w, args);
    return;
  }
  const Tiles tiles;
  const size_t parts = (args.tile_rows + kRows - 1) / kRows;
  for (size_t part = 0; part < parts; ++part) {
    const size_t first = part * args.tile_rows / parts;
    const size_t end = (part + 1) * args.tile_rows / parts;
    multiply_many<Weights>(w + first * args.blocks, end - first, args.y + first * kTileRows, args);
  }
}

// As multiply_bytes of generic/probe.h, of the instruction that has the peak here, with the 32 columns of a block.
uint64_t multiply_tiles_of_bytes(size_t rounds, uint32_t* total) {
  alignas(64) int8_t three[kTokens * kBlock];
  alignas(64) int8_t two[kSteps * 64];
  alignas(64) int32_t sums[2][kTokens * kTileRows];
  memset(three, 3, sizeof three);
  memset(two, 2, sizeof two);
  written(three);
  written(two);
  const Tiles tiles;
  _tile_loadd(2, three, kBlock);
  _tile_loadd(4, two, 64);
  _tile_zero(0);
  _tile_zero(1);
  for (size_t round = 0; round < rounds; ++round) {
    _tile_dpbssd(0, 2, 4);
    _tile_dpbssd(1, 2, 4);
  }
  _tile_stored(0, sums[0], 64);
  _tile_stored(1, sums[1], 64);
  *total = 0;
  for (const auto& tile : sums) {
    for (const int32_t sum : tile) *total += static_cast<uint32_t>(sum);
  }
  return uint64_t{2} * kTokens * kTileRows * kBlock * rounds;
}

}  // namespace

extern constinit const KernelSet kAvx512Amx;
constinit const KernelSet kAvx512Amx = {
    .name = "avx512_amx",
    .gemm_q4 = multiply<Q4Weights<Simd>>,
    .gemm_q4_min = multiply<Q4MinWeights<Simd>>,
    .gemm_q8 = multiply<Q8Weights<Simd>>,
    .gemm_phial_q4 = multiply<PhialQ4Weights<Simd>>,
    .gemm_phial_q3 = multiply<PhialQ3Weights<Simd>>,
    .multiply_bytes = multiply_tiles_of_bytes,
};

}  // namespace phial::kernels
