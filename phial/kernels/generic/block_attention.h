// Attention of training, a block of keys at a time: the product, whose block of rows x columns stays in registers while
// one pass over the factors adds to it, and softmax between two products, forwards and backwards.
#pragma once

#include <float.h>

#include "phial/kernels/generic/elementwise.h"
#include "phial/kernels/generic/vocabulary.h"
#include "phial/kernels/kernels.h"

namespace phial::kernels {

template <class Simd, int kRows, int kVectors, class How>
void product_block(const ProductArgs& args, size_t m, size_t n, How how) {
  typename Simd::F32 sums[kRows][kVectors];
  float* y = args.y + m * args.y_stride + n;
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) sums[r][v] = how.load(y + r * args.y_stride + Simd::kLanes * v);
  }
  const float* a = args.a + m * args.a_row;
  const float* b = args.b + n;
  for (size_t k = 0; k < args.K; ++k, a += args.a_column, b += args.b_stride) {
    typename Simd::F32 columns[kVectors];
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) columns[v] = how.load(b + Simd::kLanes * v);
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r) {
      const auto factor = Simd::set_f32(a[r * args.a_row]);
#pragma GCC unroll 16
      for (int v = 0; v < kVectors; ++v) sums[r][v] = Simd::fma(factor, columns[v], sums[r][v]);
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) how.store(y + r * args.y_stride + Simd::kLanes * v, sums[r][v]);
  }
}

// Rows [m, args.M) in groups of kRows, the rest in one smaller group.
template <class Simd, int kRows, int kVectors, class How>
void product_rows(const ProductArgs& args, size_t m, size_t n, How how) {
  for (; m + kRows <= args.M; m += kRows) product_block<Simd, kRows, kVectors>(args, m, n, how);
  if constexpr (kRows > 1) {
    if (m < args.M) product_rows<Simd, kRows - 1, kVectors>(args, m, n, how);
  }
}

template <class Simd>
void add_product(const ProductArgs& args) {
  constexpr int kVectors = Simd::kF32Rows * kTileRows / Simd::kLanes;
  constexpr size_t kWidth = size_t{Simd::kLanes} * kVectors;
  size_t n = 0;
  for (; n + kWidth <= args.N; n += kWidth) {
    product_rows<Simd, Simd::kF32Tokens, kVectors>(args, 0, n, Whole<Simd>{});
  }
  for (; n + Simd::kLanes <= args.N; n += Simd::kLanes) {
    product_rows<Simd, Simd::kF32Tokens, 1>(args, 0, n, Whole<Simd>{});
  }
  if (n < args.N) product_rows<Simd, Simd::kF32Tokens, 1>(args, 0, n, Part<Simd>{args.N - n});
}

template <class Simd>
void online_softmax(const OnlineSoftmaxArgs& args) {
  for (size_t row = 0; row < args.n_rows; ++row) {
    float* scores = args.scores + row * args.n_keys;
    const float before = args.largest[row];
    auto most = Simd::set_f32(before);
    sweep<Simd>(args.n_keys, [&](size_t n, auto how) { most = Simd::max(most, how.load(scores + n, before)); });
    const float largest = Simd::max_across(most);
    most = Simd::set_f32(largest);
    auto sum = Simd::zero_f32();
    sweep<Simd>(args.n_keys, [&](size_t n, auto how) {
      // Lanes past the end hold -inf, whose weight is 0.
      const auto weight = weight_of_exponent<Simd>(Simd::sub(how.load(scores + n, -__builtin_inff()), most));
      sum = Simd::add(sum, weight);
      how.store(scores + n, weight);
    });
    if (largest == before) {
      args.sums[row] += Simd::add_across(sum);
      continue;
    }
    const auto shrink = weight_of_exponent<Simd>(Simd::set_f32(before - largest));
    args.largest[row] = largest;
    args.sums[row] = args.sums[row] * Simd::max_across(shrink) + Simd::add_across(sum);
    float* mixed = args.mixed + row * args.E;
    sweep<Simd>(args.E, [&](size_t e, auto how) { how.store(mixed + e, Simd::mul(how.load(mixed + e), shrink)); });
  }
}

template <class Simd>
void softmax_gradient(const SoftmaxGradientArgs& args) {
  for (size_t row = 0; row < args.n_rows; ++row) {
    float* scores = args.scores + row * args.n_keys;
    float* gradients = args.gradients + row * args.n_keys;
    const auto log_sum = Simd::set_f32(args.log_sums[row]);
    const auto mean = Simd::set_f32(args.means[row]);
    const auto least = Simd::set_f32(FLT_MIN);
    sweep<Simd>(args.n_keys, [&](size_t n, auto how) {
      const auto weight = weight_of_exponent<Simd>(Simd::sub(how.load(scores + n), log_sum));
      const auto gradient = Simd::mul(weight, Simd::sub(how.load(gradients + n), mean));
      how.store(scores + n, weight);
      how.store(gradients + n, flush<Simd>(gradient, Simd::sub(Simd::abs(gradient), least)));
    });
  }
}

}  // namespace phial::kernels
