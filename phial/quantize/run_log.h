// The log of a run of the quantizer: one JSON object a line, first what was asked for and the choices, then each tensor
// that is whole (UnfinishedFile).
//
// What is read is hostile: a line counts if it is whole and of values that this run can have, and the first that is not
// ends what counts. Whether errors and reasons are the right ones cannot be told. The inputs of a matrix are not taken
// from it: they follow from its name.
// Threads: pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "phial/base/json.h"
#include "phial/formats/new_tensor.h"
#include "phial/quantize/plan.h"
#include "phial/quantize/report.h"

namespace phial::quantize {

struct LoggedRun {
  uint64_t bytes = 0;                          // of the lines that count
  std::optional<std::vector<Choice>> choices;  // one a tensor; none: nothing counts
  std::vector<TensorReport> whole;             // the file's first tensors
};

// `tensors`: of the source, a model of `n_layers`; what was asked for something else than `asked` does not count, nor
// a calibrated tensor of a run without calibration.
LoggedRun read_run_log(std::string_view text, const Json& asked, std::span<const formats::NewTensor> tensors,
                       int n_layers, bool has_calibration);

// Its first line, and that of a tensor that is whole.
Json run_log_line(const Json& asked, std::span<const Choice> choices);
Json run_log_line(const TensorReport& tensor);

}  // namespace phial::quantize
