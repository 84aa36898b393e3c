// What attention over blocks computes between its loops: floats by the kernels of this machine, doubles by plain loops
// (slow, for checking gradients).
//
// Shapes: n_rows queries against n_keys keys of width E; matrices are row after row. Promises and meanings are those of
// kernels/kernels.h. Threads: any.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "phial/kernels/kernels.h"

namespace phial::train {

// a[m][k] is at[m * row + k * column].
template <class T>
struct Factor {
  const T* at;
  size_t row, column;
};

// y [M, N] += a [M, K] b [K, N]; rows of b are b_stride apart.
inline void add_product(size_t M, size_t N, size_t K, Factor<float> a, const float* b, size_t b_stride, float* y) {
  kernels::active().add_product({.M = M,
                                 .N = N,
                                 .K = K,
                                 .a = a.at,
                                 .a_row = a.row,
                                 .a_column = a.column,
                                 .b = b,
                                 .b_stride = b_stride,
                                 .y = y,
                                 .y_stride = N});
}

inline void add_product(size_t M, size_t N, size_t K, Factor<double> a, const double* b, size_t b_stride, double* y) {
  for (size_t m = 0; m < M; ++m) {
    for (size_t k = 0; k < K; ++k) {
      for (size_t n = 0; n < N; ++n) y[m * N + n] += a.at[m * a.row + k * a.column] * b[k * b_stride + n];
    }
  }
}

inline void online_softmax(size_t n_rows, size_t n_keys, size_t E, float* scores, float* largest, float* sums,
                           float* mixed) {
  kernels::active().online_softmax({n_rows, n_keys, E, scores, largest, sums, mixed});
}

inline void online_softmax(size_t n_rows, size_t n_keys, size_t E, double* scores, double* largest, double* sums,
                           double* mixed) {
  for (size_t row = 0; row < n_rows; ++row, scores += n_keys, mixed += E) {
    const double before = largest[row];
    largest[row] = std::max(before, *std::max_element(scores, scores + n_keys));
    const double shrink = std::exp(before - largest[row]);
    sums[row] *= shrink;
    for (size_t n = 0; n < n_keys; ++n) sums[row] += scores[n] = std::exp(scores[n] - largest[row]);
    for (size_t e = 0; e < E; ++e) mixed[e] *= shrink;
  }
}

inline void softmax_gradient(size_t n_rows, size_t n_keys, float* scores, float* gradients, const float* log_sums,
                             const float* means) {
  kernels::active().softmax_gradient({n_rows, n_keys, scores, gradients, log_sums, means});
}

inline void softmax_gradient(size_t n_rows, size_t n_keys, double* scores, double* gradients, const double* log_sums,
                             const double* means) {
  for (size_t row = 0; row < n_rows; ++row) {
    for (size_t i = row * n_keys; i < (row + 1) * n_keys; ++i) {
      scores[i] = std::exp(scores[i] - log_sums[row]);
      gradients[i] = scores[i] * (gradients[i] - means[row]);
    }
  }
}

}  // namespace phial::train
