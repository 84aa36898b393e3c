// What became of a model's tensors when they were quantized.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "phial/quantize/matrix.h"
#include "phial/tensor/dtype.h"

namespace phial::quantize {

struct TensorReport {
  std::string name, reason;  // as in Choice
  std::vector<uint64_t> shape;
  tensor::DType type = tensor::DType::kF32;
  uint64_t weights = 0, bytes = 0;
  bool is_quantized = false;
  bool is_calibrated = false;  // then the deviation of the outputs is measured
  Deviation deviation;
};

struct Report {
  std::vector<TensorReport> tensors;
  uint64_t file_bytes = 0;

  uint64_t weights() const;
  double bits_per_weight() const;  // of all tensors
  Deviation deviation() const;     // of the quantized ones
};

}  // namespace phial::quantize
