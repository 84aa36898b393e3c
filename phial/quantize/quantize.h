// Writes the tensors of a model as a GGUF file of quantized ones, and tells how far off they are.
//
// Tensors are read, quantized and written a few hundred rows at a time, so that no model is ever in memory, stored or
// decoded. Threads: the pool is used; results do not depend on it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "phial/base/json.h"
#include "phial/base/result.h"
#include "phial/base/thread_pool.h"
#include "phial/formats/new_tensor.h"
#include "phial/quantize/calibration.h"
#include "phial/quantize/matrix.h"
#include "phial/quantize/plan.h"

namespace phial::quantize {

struct Source {
  Json metadata;                                // general.file_type and general.quantization_version are set anew
  std::span<const formats::NewTensor> tensors;  // under GGUF's names
  int n_layers = 0;
  float logit_divisor = 1;  // of the model: what its logits are divided by
};

struct Progress {
  std::string_view tensor;
  uint64_t done = 0, total = 0;  // weights
};

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

// `calibration` may be null. Nothing but the whole file ever stands at `out`. Errors: kInvalid if `out` is there, kIo,
// kCorrupt for weights that are not finite (by the tensor's name), kOutOfRange for weights that 16 bits cannot hold,
// kCancelled, those of Calibration. Promise: one choice a tensor, of choose_types() or choose_within().
Result<Report> write_quantized(const Source& source, std::span<const Choice> choices, Calibration* calibration,
                               const std::filesystem::path& out, ThreadPool& pool, const std::stop_token& stop,
                               const std::function<void(const Progress&)>& on_progress);

}  // namespace phial::quantize
