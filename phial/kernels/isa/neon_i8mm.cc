// The matrix products of bytes of ARMv8.6 (Apple A15 and M2, Cortex-X2, Neoverse V1): one instruction multiplies two
// rows of eight columns with two tokens. Up to four tokens wait for memory and go the way of neon_dot.
#include <arm_neon.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "phial/kernels/generic/gemm.h"
#include "phial/kernels/kernels.h"

namespace phial::kernels {
namespace {

#include "phial/kernels/isa/neon_words.h"

#include "phial/kernels/isa/neon_dot_words.h"

using Simd = NeonDotWords;

constexpr int kPairs = kTileRows / 2;
constexpr int kPairsAtOnce = 4;  // row pairs that are summed together: with two pairs of tokens 8 sums and 8 results
constexpr int kSteps = kBlock / 8;
constexpr size_t kChunk = 16;  // blocks unpacked at a time, as in generic/gemm.h

// Row pairs: q[step][pair] is eight columns of row 2 * pair, then of the next row; each row's scale and min twice.
struct PairedBlock {
  int8_t q[kSteps][kPairs][16];
  float scale[kPairs][4];
  float min[kPairs][4];
};

template <class Weights>
void unpack_pairs(const typename Weights::Tile& tile, PairedBlock& out) {
  for (int v = 0; v < kTileRows / Simd::kLanes; ++v) {
    for (int step = 0; step < kSteps; ++step) {
      int8x16_t first;
      int8x16_t second;
      Weights::load(tile, 2 * step, v, first, second);
      const int32x4_t a = vreinterpretq_s32_s8(first);
      const int32x4_t b = vreinterpretq_s32_s8(second);
      vst1q_s8(out.q[step][2 * v], vreinterpretq_s8_s32(vzip1q_s32(a, b)));
      vst1q_s8(out.q[step][2 * v + 1], vreinterpretq_s8_s32(vzip2q_s32(a, b)));
    }
    const auto twice = [v](float32x4_t four, float(*to)[4]) {
      vst1q_f32(to[2 * v], vzip1q_f32(four, four));
      vst1q_f32(to[2 * v + 1], vzip2q_f32(four, four));
    };
    twice(Weights::scale(tile, v), out.scale);
    if constexpr (Weights::kHasMin) twice(Simd::load_f16(tile.min + Simd::kLanes * v), out.min);
  }
}

float32x4_t alternate(float a, float b) { return vzip1q_f32(vdupq_n_f32(a), vdupq_n_f32(b)); }

// y of one pair of tokens += 8 rows, from row pair `pair` on, of `blocks` blocks; y starts at 0 if `is_first`.
// Two pairs of tokens where kTokenPairs is 2. `x[t]` and `y[t]` are those of token t.
template <class Weights, int kTokenPairs>
void multiply_pairs(const PairedBlock* tiles, size_t blocks, bool is_first, int pair, const Q8Block* const* x,
                    float* const* y) {
  float32x4_t out[kTokenPairs][kPairsAtOnce];
#pragma GCC unroll 2
  for (int t = 0; t < kTokenPairs; ++t) {
#pragma GCC unroll 2
    for (int p = 0; p < kPairsAtOnce; p += 2) {
      const float32x4_t a = is_first ? vdupq_n_f32(0) : vld1q_f32(y[2 * t] + 2 * (pair + p));
      const float32x4_t b = is_first ? vdupq_n_f32(0) : vld1q_f32(y[2 * t + 1] + 2 * (pair + p));
      out[t][p] = vzip1q_f32(a, b);
      out[t][p + 1] = vzip2q_f32(a, b);
    }
  }
  for (size_t block = 0; block < blocks; ++block) {
    const PairedBlock& w = tiles[block];
    int32x4_t sums[kTokenPairs][kPairsAtOnce];
#pragma GCC unroll 2
    for (int t = 0; t < kTokenPairs; ++t) {
      const int32x4_t first = vzip1q_s32(vdupq_n_s32(-Weights::kBias * x[2 * t][block].sum),
                                         vdupq_n_s32(-Weights::kBias * x[2 * t + 1][block].sum));
#pragma GCC unroll 4
      for (int p = 0; p < kPairsAtOnce; ++p) sums[t][p] = first;
    }
#pragma GCC unroll 4
    for (int step = 0; step < kSteps; ++step) {
      int8x16_t weights[kPairsAtOnce];
#pragma GCC unroll 4
      for (int p = 0; p < kPairsAtOnce; ++p) weights[p] = vld1q_s8(w.q[step][pair + p]);
#pragma GCC unroll 2
      for (int t = 0; t < kTokenPairs; ++t) {
        const int8x16_t tokens =
            vcombine_s8(vld1_s8(x[2 * t][block].q + 8 * step), vld1_s8(x[2 * t + 1][block].q + 8 * step));
#pragma GCC unroll 4
        for (int p = 0; p < kPairsAtOnce; ++p) sums[t][p] = vmmlaq_s32(sums[t][p], weights[p], tokens);
      }
    }
#pragma GCC unroll 2
    for (int t = 0; t < kTokenPairs; ++t) {
      const Q8Block& a = x[2 * t][block];
      const Q8Block& b = x[2 * t + 1][block];
      const float32x4_t x_scale = alternate(a.scale, b.scale);
#pragma GCC unroll 4
      for (int p = 0; p < kPairsAtOnce; ++p) {
        const float32x4_t scale = Simd::mul(vld1q_f32(w.scale[pair + p]), x_scale);
        out[t][p] = Simd::fma(Simd::to_f32(sums[t][p]), scale, out[t][p]);
        if constexpr (Weights::kHasMin) {
          const float32x4_t lift = alternate(a.scale * static_cast<float>(a.sum), b.scale * static_cast<float>(b.sum));
          out[t][p] = Simd::fma(vld1q_f32(w.min[pair + p]), lift, out[t][p]);
        }
      }
    }
  }
#pragma GCC unroll 2
  for (int t = 0; t < kTokenPairs; ++t) {
#pragma GCC unroll 2
    for (int p = 0; p < kPairsAtOnce; p += 2) {
      vst1q_f32(y[2 * t] + 2 * (pair + p), vuzp1q_f32(out[t][p], out[t][p + 1]));
      vst1q_f32(y[2 * t + 1] + 2 * (pair + p), vuzp2q_f32(out[t][p], out[t][p + 1]));
    }
  }
}

// One tile row times all tokens.
template <class Weights>
void multiply_many(const typename Weights::Tile* w, float* y, const GemmArgs& args) {
  PairedBlock tiles[kChunk];
  for (size_t first = 0; first < args.blocks; first += kChunk) {
    const size_t blocks = args.blocks - first < kChunk ? args.blocks - first : kChunk;
    for (size_t b = 0; b < blocks; ++b) unpack_pairs<Weights>(w[first + b], tiles[b]);
    // What comes next is fetched while this is multiplied.
    for (size_t b = 0; b < blocks; ++b) prefetch_tile(w + first + blocks + b);
    for (size_t token = 0; token < args.n_tokens; token += 4) {
      // A pair without a second token is given its first one twice.
      const size_t left = args.n_tokens - token;
      const Q8Block* x[4];
      float* to[4];
      for (size_t t = 0; t < 4; ++t) {
        const size_t one = token + (t < left ? t : left - 1);
        x[t] = args.x + one * args.x_stride + first;
        to[t] = y + one * args.y_stride;
      }
      for (int pair = 0; pair < kPairs; pair += kPairsAtOnce) {
        if (left > 2) {
          multiply_pairs<Weights, 2>(tiles, blocks, first == 0, pair, x, to);
        } else {
          multiply_pairs<Weights, 1>(tiles, blocks, first == 0, pair, x, to);
        }
      }
    }
  }
}

template <class Weights>
void multiply(const typename Weights::Tile* w, const GemmArgs& args) {
  if (args.n_tokens <= Simd::kStreamTokens) {
    gemm_rows<Simd, Weights>(w, args);
    return;
  }
  in_cached_steps(args, [w](const GemmArgs& some) {
    for (size_t row = 0; row < some.tile_rows; ++row) {
      multiply_many<Weights>(w + row * some.blocks, some.y + row * kTileRows, some);
    }
  });
}

// As multiply_bytes of generic/probe.h, of the instruction that has the peak here.
uint64_t multiply_pairs_of_bytes(size_t rounds, uint32_t* total) {
  constexpr int kSums = 12;
  constexpr uint64_t kProducts = 2 * 2 * 8;
  int8x16_t w = vdupq_n_s8(3);
  const int8x16_t x = vdupq_n_s8(2);
  int32x4_t sums[kSums];
  for (auto& sum : sums) sum = vdupq_n_s32(0);
  for (size_t round = 0; round < rounds; ++round) {
#pragma GCC unroll 12
    for (int i = 0; i < kSums; ++i) {
      Simd::forget(w);
      sums[i] = vmmlaq_s32(sums[i], w, x);
    }
  }
  *total = 0;
  for (const auto& sum : sums) *total += static_cast<uint32_t>(vaddvq_s32(sum));
  return kSums * kProducts * rounds;
}

}  // namespace

extern constinit const KernelSet kNeonI8mm;
constinit const KernelSet kNeonI8mm = {
    .name = "neon_i8mm",
    .gemm_q4 = multiply<Q4Weights<Simd>>,
    .gemm_q4_min = multiply<Q4MinWeights<Simd>>,
    .gemm_q8 = multiply<Q8Weights<Simd>>,
    .gemm_phial_q4 = multiply<PhialQ4Weights<Simd>>,
    .gemm_phial_q3 = multiply<PhialQ3Weights<Simd>>,
    .multiply_bytes = multiply_pairs_of_bytes,
};

}  // namespace phial::kernels
