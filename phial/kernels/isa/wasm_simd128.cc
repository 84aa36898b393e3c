// WebAssembly's SIMD of 128 bits (every browser since 2023). It has no fused multiply-add: doubles make one.
#include <float.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <wasm_simd128.h>

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

#include "phial/kernels/isa/wasm_words.h"

struct Simd : WasmWords {
  // Two of the lanes of fma(a, b, c) as doubles: the product is exact, the sum is rounded.
  struct Doubles {
    v128_t product, addend, sum;
    Doubles(F32 a, F32 b, F32 c)
        : product(wasm_f64x2_mul(wasm_f64x2_promote_low_f32x4(a), wasm_f64x2_promote_low_f32x4(b))),
          addend(wasm_f64x2_promote_low_f32x4(c)),
          sum(wasm_f64x2_add(product, addend)) {}

    // The sum rounded to odd: where a bit is lost, the last one that is kept is 1. To round that to a float is to round
    // once (S. Boldo, G. Melquiond: Emulation of FMA and correctly rounded sums, 2008).
    v128_t to_odd() const {
      const v128_t shadow = wasm_f64x2_sub(sum, product);  // what is lost: D. Knuth's sum of two
      const v128_t lost =
          wasm_f64x2_add(wasm_f64x2_sub(product, wasm_f64x2_sub(sum, shadow)), wasm_f64x2_sub(addend, shadow));
      const v128_t zero = wasm_f64x2_const_splat(0), one = wasm_i64x2_const_splat(1);
      const v128_t is_inexact = wasm_v128_or(wasm_f64x2_lt(lost, zero), wasm_f64x2_gt(lost, zero));  // not for NaN
      const v128_t is_even = wasm_i64x2_eq(wasm_v128_and(sum, one), wasm_i64x2_const_splat(0));
      // Away from zero (+1) if what is lost has the sign of the sum, else towards it (-1).
      const v128_t step = wasm_v128_or(wasm_i64x2_shr(wasm_v128_xor(sum, lost), 63), one);
      return wasm_i64x2_add(sum, wasm_v128_and(step, wasm_v128_and(is_inexact, is_even)));
    }
  };
  static F32 to_floats(v128_t low, v128_t high) {
    return wasm_i64x2_shuffle(wasm_f32x4_demote_f64x2_zero(low), wasm_f32x4_demote_f64x2_zero(high), 0, 2);
  }
  // Not inlined: rarely called from many places.
  [[gnu::noinline]] static F32 fma_by_odd(F32 a, F32 b, F32 c) {
    return to_floats(Doubles(a, b, c).to_odd(), Doubles(swap_halves(a), swap_halves(b), swap_halves(c)).to_odd());
  }
  // To round to a double and then to a float is to round once, but where the double lies in the middle between two
  // floats: its 29 lowest bits are 1000..., or the float is no normal one, or the least of
  // them, which numbers below it may have been rounded up to.
  static F32 fma(F32 a, F32 b, F32 c) {
    const v128_t low = Doubles(a, b, c).sum;
    const v128_t high = Doubles(swap_halves(a), swap_halves(b), swap_halves(c)).sum;
    const F32 result = to_floats(low, high);
    const I32 ends = wasm_v128_and(wasm_i32x4_shuffle(low, high, 0, 2, 4, 6), wasm_i32x4_const_splat(0x1FFFFFFF));
    const I32 is_in_doubt = wasm_v128_or(wasm_i32x4_eq(ends, wasm_i32x4_const_splat(0x10000000)),
                                         wasm_f32x4_le(abs(result), set_f32(FLT_MIN)));
    return __builtin_expect(wasm_v128_any_true(is_in_doubt), false) ? fma_by_odd(a, b, c) : result;
  }
  static F32 fnma(F32 a, F32 b, F32 c) { return fma(wasm_f32x4_neg(a), b, c); }
  static F32 mul_add(F32 a, F32 b, F32 c) { return add(mul(a, b), c); }

  // The even bytes of w and x and the odd ones as 16-bit numbers.
  static v128_t even(Bytes v) { return wasm_i16x8_shr(wasm_i16x8_shl(v, 8), 8); }
  static v128_t odd(Bytes v) { return wasm_i16x8_shr(v, 8); }

  // 16-bit sums hold a whole block: each step adds at most 2 * 15 * 127, eight steps 30480.
  struct NibbleDot {
    using Sum = v128_t;
    static Sum start(int, int32_t) { return wasm_i16x8_const_splat(0); }
    static void add(Sum& sum, Bytes w, Bytes x) {
      const v128_t even_w = wasm_v128_and(w, wasm_i16x8_const_splat(0xFF));
      sum = wasm_i16x8_add(sum, wasm_i16x8_mul(even_w, even(x)));
      sum = wasm_i16x8_add(sum, wasm_i16x8_mul(wasm_u16x8_shr(w, 8), odd(x)));
    }
    static I32 total(Sum sum, int bias, int32_t x_sum) {
      return wasm_i32x4_add(wasm_i32x4_extadd_pairwise_i16x8(sum), wasm_i32x4_splat(-bias * x_sum));
    }
  };
  // Two products, at most 2 * 127 * 127, are a 16-bit number; four are not.
  struct ByteDot {
    static constexpr int kBias = 0;
    using Sum = v128_t;
    static Bytes prepare(Bytes w) { return w; }
    static Sum start(int bias, int32_t x_sum) { return wasm_i32x4_splat(-bias * x_sum); }
    static void add(Sum& sum, Bytes w, Bytes x) {
      const v128_t pairs = wasm_i16x8_add(wasm_i16x8_mul(even(w), even(x)), wasm_i16x8_mul(odd(w), odd(x)));
      sum = wasm_i32x4_add(sum, wasm_i32x4_extadd_pairwise_i16x8(pairs));
    }
    static I32 total(Sum sum, int, int32_t) { return sum; }
  };
  using CodeDot = ByteDot;
};

}  // namespace

extern constinit const KernelSet kWasmSimd128;
constinit const KernelSet kWasmSimd128 = {
    .name = "wasm_simd128",
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
