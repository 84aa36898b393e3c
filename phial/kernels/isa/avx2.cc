// AVX2, FMA, F16C: every PC since 2013 to 2015.
#include <immintrin.h>
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

#include "phial/kernels/isa/avx2_words.h"

struct Simd : Avx2Words {
  // 16-bit sums hold a whole block: each step adds at most 2 * 15 * 127, eight steps 30480.
  struct NibbleDot {
    using Sum = __m256i;
    static Sum start(int, int32_t) { return _mm256_setzero_si256(); }
    static void add(Sum& sum, Bytes w, Bytes x) { sum = _mm256_add_epi16(sum, _mm256_maddubs_epi16(w, x)); }
    static I32 total(Sum sum, int bias, int32_t x_sum) {
      // The bias is 0 or 8, so this is a shift, of lanes that memory fills: quicker than filling them from a register.
      const __m256i lift = _mm256_mullo_epi32(_mm256_set1_epi32(x_sum), _mm256_set1_epi32(bias));
      return _mm256_sub_epi32(_mm256_madd_epi16(sum, _mm256_set1_epi16(1)), lift);
    }
  };
  // Two products, at most 2 * 127 * 127, are a 16-bit number; four are not.
  struct CodeDot {
    using Sum = __m256i;
    static Sum start(int bias, int32_t x_sum) { return _mm256_set1_epi32(-bias * x_sum); }
    static void add(Sum& sum, Bytes w, Bytes x) {
      sum = _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(w, x), _mm256_set1_epi16(1)));
    }
    static I32 total(Sum sum, int, int32_t) { return sum; }
  };
  // |w| times x with the sign of w: at most 2 * 127 * 127 a step, which 16 bits hold.
  struct ByteDot {
    static constexpr int kBias = 0;
    using Sum = __m256i;
    static Bytes prepare(Bytes w) { return w; }
    static Sum start(int bias, int32_t x_sum) { return _mm256_set1_epi32(-bias * x_sum); }
    static void add(Sum& sum, Bytes w, Bytes x) {
      const __m256i pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(x, w));
      sum = _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
    }
    static I32 total(Sum sum, int, int32_t) { return sum; }
  };
};

}  // namespace

extern constinit const KernelSet kAvx2;
constinit const KernelSet kAvx2 = {
    .name = "avx2",
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
