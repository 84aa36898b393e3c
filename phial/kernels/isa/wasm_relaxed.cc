// WebAssembly's relaxed SIMD, where its multiply-add rounds once, as it does on machines that have one: an instruction
// for a multiply-add, and one to three for the products of 16 bytes. The rest is as wasm_simd128 has it.
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
  static F32 fma(F32 a, F32 b, F32 c) { return wasm_f32x4_relaxed_madd(a, b, c); }
  static F32 fnma(F32 a, F32 b, F32 c) { return wasm_f32x4_relaxed_nmadd(a, b, c); }
  static F32 mul_add(F32 a, F32 b, F32 c) { return fma(a, b, c); }
  static F32 if_negative(F32 x, F32 a, F32 b) {
    return wasm_i32x4_relaxed_laneselect(a, b, wasm_f32x4_lt(x, zero_f32()));
  }
  static I32 to_i32(F32 v) { return wasm_i32x4_relaxed_trunc_f32x4(round(v)); }
  static Bytes look_up(Bytes table, Bytes v) { return wasm_i8x16_relaxed_swizzle(table, v); }

  // Every engine gives the same result while the second factor is in 0..127: pairs of products then fit 16 bits.
  struct CodeDot {
    using Sum = v128_t;
    static Sum start(int bias, int32_t x_sum) { return wasm_i32x4_splat(-bias * x_sum); }
    static void add(Sum& sum, Bytes w, Bytes x) { sum = wasm_i32x4_relaxed_dot_i8x16_i7x16_add(x, w, sum); }
    static I32 total(Sum sum, int, int32_t) { return sum; }
  };
  using NibbleDot = CodeDot;
  // |w| times x with the sign of w.
  struct ByteDot : CodeDot {
    static constexpr int kBias = 0;
    static Bytes prepare(Bytes w) { return w; }
    static void add(Sum& sum, Bytes w, Bytes x) {
      const v128_t sign = wasm_i8x16_lt(w, wasm_i8x16_const_splat(0));
      CodeDot::add(sum, wasm_i8x16_abs(w), wasm_i8x16_sub(wasm_v128_xor(x, sign), sign));
    }
  };
};

}  // namespace

extern constinit const KernelSet kWasmRelaxed;
constinit const KernelSet kWasmRelaxed = {
    .name = "wasm_relaxed",
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
    .layernorm = layernorm<Simd>,
    .rope_half = rope_half<Simd>,
    .silu_mul = silu_mul<Simd>,
    .gelu = gelu<Simd>,
    .dot_rows = dot_rows<Simd>,
    .multiply_bytes = multiply_bytes<Simd>,
};

}  // namespace phial::kernels
