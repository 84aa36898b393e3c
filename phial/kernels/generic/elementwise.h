// Exponential and what is made of it: softmax, SiLU, GELU; norms; rotation; rounding of activations.
#pragma once

#include <float.h>

#include "phial/kernels/generic/vocabulary.h"
#include "phial/kernels/kernels.h"

namespace phial::kernels {

// e^x = 2^n e^r with |r| <= ln 2 / 2, and e^r by its series up to r^7 / 7!, whose remainder is below 6e-9. x <= 88, or
// NaN, which stays.
template <class Simd>
typename Simd::F32 exponential(typename Simd::F32 x) {
  const auto c = [](float value) { return Simd::set_f32(value); };
  x = Simd::max(c(-105.0F), x);  // gives 0, as would anything below; in this order NaN stays
  const auto n = Simd::round(Simd::mul(x, c(1.44269504F)));
  auto r = Simd::mul_add(n, c(-0.693359375F), x);  // ln 2 in two parts: n times the first is exact
  r = Simd::mul_add(n, c(2.12194440e-4F), r);
  auto e = c(1.0F / 5040);
  e = Simd::mul_add(e, r, c(1.0F / 720));
  e = Simd::mul_add(e, r, c(1.0F / 120));
  e = Simd::mul_add(e, r, c(1.0F / 24));
  e = Simd::mul_add(e, r, c(1.0F / 6));
  e = Simd::mul_add(e, r, c(0.5F));
  e = Simd::mul_add(e, r, c(1.0F));
  e = Simd::mul_add(e, r, c(1.0F));
  return Simd::times_power_of_2(e, n);
}

// `value`, or 0 where `above` is negative. No weight of attention is a number below the smallest normal float: on
// Intel's processors a multiply-add with one takes a hundred times as long, and each weight meets a whole row.
template <class Simd>
typename Simd::F32 flush(typename Simd::F32 value, typename Simd::F32 above) {
  return Simd::if_negative(above, Simd::zero_f32(), value);
}

// e^x for x of at most 1; 0 where it is next to nothing, as it is for -inf. NaN stays: x86's max gives its second
// operand then.
template <class Simd>
typename Simd::F32 weight_of_exponent(typename Simd::F32 x) {
  const auto least = Simd::set_f32(-87);  // e^-87 = 1.6e-38
  return flush<Simd>(exponential<Simd>(Simd::max(least, x)), Simd::sub(x, least));
}

template <class Simd>
void softmax(float* scores, size_t n) {
  auto largest = Simd::set_f32(scores[0]);
  sweep<Simd>(n, [&](size_t i, auto how) { largest = Simd::max(largest, how.load(scores + i, scores[0])); });
  largest = Simd::set_f32(Simd::max_across(largest));
  auto sum = Simd::zero_f32();
  sweep<Simd>(n, [&](size_t i, auto how) {
    // Lanes past the end hold -inf, whose exponential adds nothing.
    const auto e = weight_of_exponent<Simd>(Simd::sub(how.load(scores + i, -__builtin_inff()), largest));
    sum = Simd::add(sum, e);
    how.store(scores + i, e);
  });
  const auto inverse = Simd::set_f32(1 / Simd::add_across(sum));
  sweep<Simd>(n, [&](size_t i, auto how) {
    const auto weight = Simd::mul(how.load(scores + i), inverse);
    how.store(scores + i, flush<Simd>(weight, Simd::sub(weight, Simd::set_f32(FLT_MIN))));
  });
}

// Sum of term(i, how) over [0, n), in four chains of vectors.
template <class Simd, class Term>
float sum_of(size_t n, Term term) {
  typename Simd::F32 sums[4] = {Simd::zero_f32(), Simd::zero_f32(), Simd::zero_f32(), Simd::zero_f32()};
  size_t i = 0;
  for (; i + 4 * Simd::kLanes <= n; i += 4 * Simd::kLanes) {
#pragma GCC unroll 4
    for (size_t v = 0; v < 4; ++v) sums[v] = Simd::add(sums[v], term(i + v * Simd::kLanes, Whole<Simd>{}));
  }
  sweep<Simd>(n - i, [&](size_t j, auto how) { sums[0] = Simd::add(sums[0], term(i + j, how)); });
  return Simd::add_across(Simd::add(Simd::add(sums[0], sums[1]), Simd::add(sums[2], sums[3])));
}

template <class Simd>
typename Simd::F32 inverse_root(float variance) {
  return Simd::div(Simd::set_f32(1), Simd::sqrt(Simd::set_f32(variance)));
}

template <class Simd>
void rmsnorm(const float* x, const float* gain, size_t D, float eps, float* y) {
  const float squares = sum_of<Simd>(D, [&](size_t d, auto how) {
    const auto v = how.load(x + d);
    return Simd::mul(v, v);
  });
  const auto inverse = inverse_root<Simd>(squares / static_cast<float>(D) + eps);
  sweep<Simd>(D, [&](size_t d, auto how) {
    how.store(y + d, Simd::mul(Simd::mul(how.load(x + d), inverse), how.load(gain + d)));
  });
}

template <class Simd>
void layernorm(const float* x, const float* gain, const float* bias, size_t D, float eps, float* y) {
  const float sum = sum_of<Simd>(D, [&](size_t d, auto how) { return how.load(x + d); });
  const float mean = sum / static_cast<float>(D);
  const auto middle = Simd::set_f32(mean);
  const float squares = sum_of<Simd>(D, [&](size_t d, auto how) {
    const auto v = Simd::sub(how.load(x + d, mean), middle);  // lanes past the end add 0
    return Simd::mul(v, v);
  });
  const auto inverse = inverse_root<Simd>(squares / static_cast<float>(D) + eps);
  sweep<Simd>(D, [&](size_t d, auto how) {
    const auto v = Simd::mul(Simd::sub(how.load(x + d), middle), inverse);
    how.store(y + d, Simd::mul_add(v, how.load(gain + d), how.load(bias + d)));
  });
}

template <class Simd>
void rope_half(float* x, const float* cos, const float* sin, size_t half) {
  sweep<Simd>(half, [&](size_t d, auto how) {
    const auto first = how.load(x + d);
    const auto second = how.load(x + half + d);
    const auto c = how.load(cos + d);
    const auto s = how.load(sin + d);
    how.store(x + d, Simd::fnma(second, s, Simd::mul(first, c)));
    how.store(x + half + d, Simd::fma(first, s, Simd::mul(second, c)));
  });
}

// silu(x) = x / (1 + e^-x), from e^-|x| so that nothing overflows.
template <class Simd>
void silu_mul(const float* gate, const float* up, size_t n, float* out) {
  const auto one = Simd::set_f32(1);
  sweep<Simd>(n, [&](size_t i, auto how) {
    const auto x = how.load(gate + i);
    const auto e = exponential<Simd>(Simd::sub(Simd::zero_f32(), Simd::abs(x)));
    const auto silu = Simd::div(Simd::if_negative(x, Simd::mul(x, e), x), Simd::add(one, e));
    how.store(out + i, Simd::mul(silu, how.load(up + i)));
  });
}

// Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26: erfc(z) for z >= 0 within 1.5e-7.
template <class Simd>
typename Simd::F32 erfc_of_positive(typename Simd::F32 z) {
  const auto c = [](float value) { return Simd::set_f32(value); };
  const auto t = Simd::div(c(1), Simd::mul_add(c(0.3275911F), z, c(1)));
  auto p = c(1.061405429F);
  p = Simd::mul_add(p, t, c(-1.453152027F));
  p = Simd::mul_add(p, t, c(1.421413741F));
  p = Simd::mul_add(p, t, c(-0.284496736F));
  p = Simd::mul_add(p, t, c(0.254829592F));
  return Simd::mul(Simd::mul(p, t), exponential<Simd>(Simd::sub(Simd::zero_f32(), Simd::mul(z, z))));
}

template <class Simd>
void gelu(float* x, size_t n) {
  sweep<Simd>(n, [&](size_t i, auto how) {
    const auto v = how.load(x + i);
    const auto tail = Simd::mul(Simd::mul(v, Simd::set_f32(0.5F)),
                                erfc_of_positive<Simd>(Simd::mul(Simd::abs(v), Simd::set_f32(0.70710678F))));
    how.store(x + i, Simd::if_negative(v, tail, Simd::sub(v, tail)));
  });
}

template <class Simd>
void add(const float* x, float* y, size_t n) {
  sweep<Simd>(n, [&](size_t i, auto how) { how.store(y + i, Simd::add(how.load(y + i), how.load(x + i))); });
}

template <class Simd>
void f32_to_f16(const float* x, size_t n, uint16_t* out) {
  sweep<Simd>(n, [&](size_t i, auto how) { how.store(out + i, how.load(x + i)); });
}

template <class Simd>
void quantize_q8(const float* x, size_t blocks, Q8Block* out) {
  constexpr int kVectors = kBlock / Simd::kLanes;
  for (size_t b = 0; b < blocks; ++b, x += kBlock) {
    typename Simd::F32 v[kVectors];
    auto largest = Simd::zero_f32();
#pragma GCC unroll 8
    for (int i = 0; i < kVectors; ++i) {
      v[i] = Simd::load_f32(x + Simd::kLanes * i);
      largest = Simd::max(largest, Simd::abs(v[i]));
    }
    const float most = Simd::max_across(largest);
    const bool zero = !(most > 0x1p-120F);
    const auto inverse = Simd::set_f32(zero ? 0 : 127 / most);
    auto sum = Simd::set_i32(0);
#pragma GCC unroll 8
    for (int i = 0; i < kVectors; ++i) {
      const auto q = Simd::to_i32(Simd::mul(v[i], inverse));
      sum = Simd::add_i32(sum, q);
      Simd::store_i8(out[b].q + Simd::kLanes * i, q);
    }
    out[b].scale = zero ? 0 : most / 127;
    out[b].sum = Simd::add_across_i32(sum);
  }
}

}  // namespace phial::kernels
