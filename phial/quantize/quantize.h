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
#include "phial/quantize/plan.h"
#include "phial/quantize/report.h"

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

// Where a file goes, and what decides its bytes besides the source's tensors and metadata: `asked` tells whether what a
// run that was stopped has left is a part of this file. `around` is given the writing, which it calls once: what
// belongs beside the file may be written before and after it, since no other process writes this target meanwhile. Its
// errors are those of the writing. Null: nothing does.
struct Target {
  std::filesystem::path path;
  Json asked;
  std::function<Status(const std::function<Status()>& write)> around = {};
};

using ChooseTypes = std::function<Result<std::vector<Choice>>()>;

// `choose`: one choice a tensor, as choose_types() or choose_within() give them. `calibration` may be null.
// Nothing but the whole file ever stands at the target. A run that is stopped or killed leaves what it has beside it
// (UnfinishedFile), and the next one that is asked for the same goes on from there, without choosing again; any other
// failure leaves nothing. Errors: those of `choose`; kInvalid if the target is there or being written, kIo, kCorrupt
// for weights that are not finite (by the tensor's name), kOutOfRange for weights that 16 bits cannot hold, kCancelled,
// those of Calibration.
Result<Report> write_quantized(const Source& source, const Target& target, const ChooseTypes& choose,
                               Calibration* calibration, ThreadPool& pool, const std::stop_token& stop,
                               const std::function<void(const Progress&)>& on_progress);

}  // namespace phial::quantize
