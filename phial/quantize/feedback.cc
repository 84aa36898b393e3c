// Panels are eliminated from the last to the first: sixteen columns among themselves, then their share is taken off all
// panels before them, which the threads divide.
#include "phial/quantize/feedback.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "phial/kernels/kernels.h"

namespace phial::quantize {
namespace {

constexpr double kDamping = 0.01;

// False if the diagonal holds what is not a finite number.
bool damp(Panels& hessian) {
  double sum = 0;
  for (size_t k = 0; k < hessian.columns(); ++k) sum += hessian.at(k, k);
  if (!std::isfinite(sum)) return false;
  const double added = sum > 0 ? kDamping * sum / static_cast<double>(hessian.columns()) : 1;
  for (size_t k = 0; k < hessian.columns(); ++k) hessian.at(k, k) += static_cast<float>(added);
  return true;
}

// The columns of panel p among themselves, the last first: each becomes its pivot's share.
bool eliminate_inside(Panels& matrix, size_t p, std::span<float> pivots) {
  float* panel = matrix.panel(p);
  for (size_t c = kPanel; c-- > 0;) {
    const size_t column = p * kPanel + c;
    const float pivot = panel[column * kPanel + c];
    if (!(pivot > 0) || !std::isfinite(pivot)) return false;
    pivots[column] = pivot;
    panel[column * kPanel + c] = 0;
    for (size_t j = 0; j < column; ++j) {
      float* row = panel + j * kPanel;
      const float share = row[c] / pivot;
      for (size_t earlier = 0; earlier < c; ++earlier) {
        if (p * kPanel + earlier < j) continue;  // below the diagonal
        row[earlier] -= share * panel[(p * kPanel + earlier) * kPanel + c];
      }
    }
    for (size_t j = 0; j < column; ++j) panel[j * kPanel + c] /= pivot;
  }
  return true;
}

// Panel q less what the sixteen columns of panel p explain of it.
void eliminate(Panels& matrix, size_t p, size_t q, std::span<const float> pivots, std::vector<float>& products) {
  const float* done = matrix.panel(p);
  std::array<float, kPanel * kPanel> shares;
  for (size_t c = 0; c < kPanel; ++c) {
    for (size_t r = 0; r < kPanel; ++r) {
      shares[c * kPanel + r] = pivots[p * kPanel + c] * done[(q * kPanel + r) * kPanel + c];
    }
  }
  const size_t rows = (q + 1) * kPanel;
  products.resize(rows * kPanel);
  kernels::active().gemm_f32(
      shares.data(),
      {.D = kPanel, .n_tokens = rows, .x = done, .x_stride = kPanel, .y = products.data(), .y_stride = kPanel});
  float* panel = matrix.panel(q);
  for (size_t i = 0; i < products.size(); ++i) panel[i] -= products[i];
}

}  // namespace

Result<Feedback> Feedback::make(Panels hessian, ThreadPool& pool) {
  const Error damaged = {Code::kCorrupt, "the calibration text drives the model out of the range of numbers",
                         "give another text, or leave --calibrate out"};
  if (!damp(hessian)) return damaged;
  Feedback feedback;
  feedback.cost_.resize(hessian.columns());
  for (size_t p = hessian.count(); p-- > 0;) {
    if (!eliminate_inside(hessian, p, feedback.cost_)) return damaged;
    pool.parallel_for(p, 4, [&](size_t begin, size_t end) {
      std::vector<float> products;
      for (size_t q = begin; q < end; ++q) eliminate(hessian, p, q, feedback.cost_, products);
    });
  }
  feedback.factor_ = std::move(hessian);
  return feedback;
}

}  // namespace phial::quantize
