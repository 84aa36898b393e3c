// A quantized file that is being written, with what is known of its tensors: a run that is stopped or killed leaves
// both, and the same run goes on from there.
//
// Beside the target stand the file's beginning, partial_path(target), and a log of the same name with ".log"
// (run_log.h). A tensor's line is written once its bytes are on the disk; a last line that was cut short does not
// count. Errors: kIo, kNotFound; kInvalid if the target is there, or another process is writing it. Threads: one at a
// time.
#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <vector>

#include "phial/base/descriptor.h"
#include "phial/base/json.h"
#include "phial/base/output_file.h"
#include "phial/base/result.h"
#include "phial/formats/new_tensor.h"
#include "phial/quantize/plan.h"
#include "phial/quantize/report.h"

namespace phial::quantize {

class UnfinishedFile {
 public:
  // `tensors`: of the source, a model of `n_layers`. What a run left that was asked for something else is written over.
  static Result<UnfinishedFile> open(const std::filesystem::path& target, const Json& asked,
                                     std::span<const formats::NewTensor> tensors, int n_layers, bool has_calibration);

  // Nothing: the file is begun anew.
  const std::optional<std::vector<Choice>>& choices() const { return choices_; }
  Status choose(std::vector<Choice> choices);

  // The tensors that are whole, the file's first.
  const std::vector<TensorReport>& whole() const { return whole_; }
  // The next ones; they are on the disk.
  Status add(std::span<const TensorReport> more);

  const std::filesystem::path& path() const { return part_; }

  // The error of a write, with the target's name instead of the hidden ones.
  Error named(Error error) const;

  // The file is whole and on the disk: puts it in its place.
  Status finish();
  // Leaves nothing.
  void discard();

 private:
  UnfinishedFile(const std::filesystem::path& target, Json asked, Descriptor lock);
  Status write_line(const Json& line);

  std::filesystem::path target_, part_, log_path_;
  Json asked_;
  Descriptor lock_;  // of the log, for as long as this lives
  std::optional<OutputFile> log_;
  std::optional<std::vector<Choice>> choices_;
  std::vector<TensorReport> whole_;
};

}  // namespace phial::quantize
