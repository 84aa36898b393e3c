// Rows of a matrix -> blocks, with or without feedback from calibration, and how far off they are.
//
// Rows do not depend on each other: the same bytes whatever the number of threads or the rows handed over together.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <stop_token>
#include <vector>

#include "phial/base/thread_pool.h"
#include "phial/quantize/feedback.h"
#include "phial/tensor/dtype.h"

namespace phial::quantize {

// Sums of squares over weights, in double precision and in the order of the rows.
struct Deviation {
  double error = 0, reference = 0;                // of the weights: (w - q)^2, w^2
  double output_error = 0, output_reference = 0;  // of the outputs over the (damped) calibration; 0 without

  void add(const Deviation& other);
  double relative() const;         // root of the ratio; 0 for a matrix of zeros
  double relative_output() const;  // the same of the outputs
};

// How the columns are weighed: with all correlations, with costs alone, or (both null) each like the others.
struct Weighing {
  const Feedback* feedback = nullptr;
  std::span<const float> cost = {};  // [columns], none negative
};

// weights: [rows, columns], all finite. `blocks`: the bytes of that many weights of `dtype`, row after row.
// Promises: the type has a grid (tensor/block_numbers.h), whose block divides the columns; what weighs is as wide.
// Left early, with what is written unfinished, if `stop` was requested.
Deviation quantize_rows(std::span<const float> weights, size_t columns, tensor::DType dtype, const Weighing& weighing,
                        ThreadPool& pool, const std::stop_token& stop, std::byte* blocks);

}  // namespace phial::quantize
