// NEON, which every 64-bit ARM CPU has (Raspberry Pi 3 and 4).
#include <arm_neon.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "phial/kernels/generic/attention.h"
#include "phial/kernels/generic/block_attention.h"
#include "phial/kernels/generic/elementwise.h"
#include "phial/kernels/generic/gemm.h"
#include "phial/kernels/generic/gemm_f32.h"
#include "phial/kernels/generic/kv_blocks.h"
#include "phial/kernels/generic/probe.h"
#include "phial/kernels/kernels.h"

namespace phial::kernels {
namespace {

#include "phial/kernels/isa/neon_words.h"

struct Simd : NeonWords {
  // 16-bit sums of products, rows 0 and 1 apart from rows 2 and 3; a block adds at most 8 * 15 * 127 to each.
  struct NibbleDot {
    struct Sum {
      int16x8_t low, high;
    };
    static Sum start(int, int32_t) { return {vdupq_n_s16(0), vdupq_n_s16(0)}; }
    static void add(Sum& sum, Bytes w, Bytes x) {
      sum.low = vmlal_s8(sum.low, vget_low_s8(w), vget_low_s8(x));
      sum.high = vmlal_high_s8(sum.high, w, x);
    }
    static I32 total(const Sum& sum, int bias, int32_t x_sum) {
      return vaddq_s32(vpaddq_s32(vpaddlq_s16(sum.low), vpaddlq_s16(sum.high)), vdupq_n_s32(-bias * x_sum));
    }
  };
  // Two products of bytes, at most 2 * 127 * 127, are a 16-bit number; four are not.
  struct ByteDot {
    static constexpr int kBias = 0;
    using Sum = int32x4_t;
    static Bytes prepare(Bytes w) { return w; }
    static Sum start(int bias, int32_t x_sum) { return vdupq_n_s32(-bias * x_sum); }
    static void add(Sum& sum, Bytes w, Bytes x) {
      sum = vpadalq_s16(sum, vpaddq_s16(vmull_s8(vget_low_s8(w), vget_low_s8(x)), vmull_high_s8(w, x)));
    }
    static I32 total(Sum sum, int, int32_t) { return sum; }
  };
  using CodeDot = ByteDot;
};

}  // namespace

extern constinit const KernelSet kNeon;
constinit const KernelSet kNeon = {
    .name = "neon",
    .gemm_q4 = gemm_q4<Simd>,
    .gemm_q4_min = gemm_q4_min<Simd>,
    .gemm_q8 = gemm_q8<Simd>,
    .gemm_phial_q4 = gemm_phial_q4<Simd>,
    .gemm_phial_q3 = gemm_phial_q3<Simd>,
    .gemm_f32 = gemm_f32<Simd>,
    .quantize_q8 = quantize_q8<Simd>,
    .scores_f16 = scores<Simd>,
    .scores_f32 = scores<Simd>,
    .scores_q8 = scores_of_blocks<Simd>,
    .scores_q4 = scores_of_blocks<Simd>,
    .mix_f16 = mix<Simd>,
    .mix_f32 = mix<Simd>,
    .mix_q8 = mix_blocks<Simd>,
    .mix_q4 = mix_blocks<Simd>,
    .quantize_kv_q8 = quantize_kv_q8<Simd>,
    .quantize_kv_q4 = quantize_kv_q4<Simd>,
    .softmax = softmax<Simd>,
    .add_product = add_product<Simd>,
    .online_softmax = online_softmax<Simd>,
    .softmax_gradient = softmax_gradient<Simd>,
    .rmsnorm = rmsnorm<Simd>,
    .layernorm = layernorm<Simd>,
    .rope_half = rope_half<Simd>,
    .silu_mul = silu_mul<Simd>,
    .gelu = gelu<Simd>,
    .add = add<Simd>,
    .f32_to_f16 = f32_to_f16<Simd>,
    .dot_rows = dot_rows<Simd>,
    .sum_words = sum_words<Simd>,
    .multiply_bytes = multiply_bytes<Simd>,
};

}  // namespace phial::kernels
