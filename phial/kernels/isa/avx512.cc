// AVX-512 without its byte products: servers of 2017 to 2019.
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

#include "phial/kernels/isa/avx512_words.h"

// The byte products as in avx2.cc, with the same bounds.
struct Simd : Avx512Words {
  struct NibbleDot {
    using Sum = __m512i;
    static Sum start(int, int32_t) { return _mm512_setzero_si512(); }
    static void add(Sum& sum, Bytes w, Bytes x) { sum = _mm512_add_epi16(sum, _mm512_maddubs_epi16(w, x)); }
    static I32 total(Sum sum, int bias, int32_t x_sum) {
      return _mm512_add_epi32(_mm512_madd_epi16(sum, _mm512_set1_epi16(1)), _mm512_set1_epi32(-bias * x_sum));
    }
  };
  struct CodeDot {
    using Sum = __m512i;
    static Sum start(int bias, int32_t x_sum) { return _mm512_set1_epi32(-bias * x_sum); }
    static void add(Sum& sum, Bytes w, Bytes x) {
      sum = _mm512_add_epi32(sum, _mm512_madd_epi16(_mm512_maddubs_epi16(w, x), _mm512_set1_epi16(1)));
    }
    static I32 total(Sum sum, int, int32_t) { return sum; }
  };
  struct ByteDot {
    static constexpr int kBias = 0;
    using Sum = __m512i;
    static Bytes prepare(Bytes w) { return w; }
    static Sum start(int bias, int32_t x_sum) { return _mm512_set1_epi32(-bias * x_sum); }
    static void add(Sum& sum, Bytes w, Bytes x) {
      const __m512i signed_x = _mm512_mask_sub_epi8(x, _mm512_movepi8_mask(w), _mm512_setzero_si512(), x);
      const __m512i pairs = _mm512_maddubs_epi16(_mm512_abs_epi8(w), signed_x);
      sum = _mm512_add_epi32(sum, _mm512_madd_epi16(pairs, _mm512_set1_epi16(1)));
    }
    static I32 total(Sum sum, int, int32_t) { return sum; }
  };
};

}  // namespace

extern constinit const KernelSet kAvx512;
constinit const KernelSet kAvx512 = {
    .name = "avx512",
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
