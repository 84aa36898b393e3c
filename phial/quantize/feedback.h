// What the rounding errors of a row's earlier columns ask of its later ones.
//
// With H = (U + I) diag(cost) (U + I)^T, U strictly upper triangular, the error of a row's outputs over the calibration
// text is sum_k cost[k] * (w_k + sum_{j<k} e_j U_jk - q_k)^2, where e = w - q: so column k rounds not w_k but w_k plus
// the feedback of the errors before it.
// Source: GPTQ (arXiv 2210.17323), in the form of LDLQ (arXiv 2307.13304, section 3), which needs no inverse.
// Threads: immutable once made.
#pragma once

#include <span>
#include <vector>

#include "phial/base/result.h"
#include "phial/base/thread_pool.h"
#include "phial/quantize/hessian.h"

namespace phial::quantize {

class Feedback {
 public:
  // Factorises `hessian` in place, a hundredth of its mean diagonal added to its diagonal; all zeros become the
  // identity. kCorrupt if it holds what is not a finite number.
  static Result<Feedback> make(Panels hessian, ThreadPool& pool);

  size_t columns() const { return factor_.columns(); }
  std::span<const float> cost() const { return cost_; }
  // U; the diagonal is 0.
  const Panels& factor() const { return factor_; }

 private:
  Panels factor_;
  std::vector<float> cost_;
};

}  // namespace phial::quantize
