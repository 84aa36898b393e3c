// What metrics.jsonl says of a run: a curve over its steps for every key.
//
// Errors: those of read_text_file(); kCorrupt, with the line, for what is no object with a step.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "phial/base/result.h"
#include "phial/train/curve_plot.h"

namespace phial::train {

struct LoggedRun {
  std::map<std::string, std::vector<CurvePoint>, std::less<>> curves;  // without values that are not finite
  int64_t lines = 0, skipped = 0;
  double first_step = 0, last_step = 0;

  // No points: there is no such key.
  const std::vector<CurvePoint>& of(std::string_view key) const;
};

Result<LoggedRun> read_metrics(const std::filesystem::path& metrics_jsonl);

}  // namespace phial::train
