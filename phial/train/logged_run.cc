#include "phial/train/logged_run.h"

#include <algorithm>
#include <cmath>

#include "phial/base/json.h"
#include "phial/base/mapped_file.h"

namespace phial::train {
namespace {

Status add_line(LoggedRun& run, std::string_view line) {
  PHIAL_TRY(const Json object, parse_json(line));
  const auto step = find_int(object, "step");
  if (!step || *step < 0 || *step > kLastStep) {
    return Error{Code::kCorrupt, "no object with a \"step\" of 0 to " + std::to_string(kLastStep), ""};
  }
  const auto at = static_cast<double>(*step);
  for (const auto& [key, value] : object.items()) {
    if (key == "step" || !value.is_number()) continue;
    if (const auto number = value.get<double>(); std::fabs(number) < kLargestValue) {
      run.curves[key].push_back({at, number});
    }
  }
  run.skipped += find_bool(object, "skipped").value_or(false) ? 1 : 0;
  run.first_step = run.lines == 0 ? at : std::min(run.first_step, at);
  run.last_step = std::max(run.last_step, at);
  ++run.lines;
  return ok();
}

}  // namespace

const std::vector<CurvePoint>& LoggedRun::of(std::string_view key) const {
  static const std::vector<CurvePoint> kNone;
  const auto found = curves.find(key);
  return found == curves.end() ? kNone : found->second;
}

Result<LoggedRun> read_metrics(const std::filesystem::path& metrics_jsonl) {
  PHIAL_TRY(const std::string text, read_text_file(metrics_jsonl));
  LoggedRun run;
  for (std::string_view left = text; !left.empty();) {
    const std::string_view line = left.substr(0, left.find('\n'));
    left.remove_prefix(std::min(left.size(), line.size() + 1));
    if (const Status added = add_line(run, line); !added) {
      return Error{Code::kCorrupt, added.error().message, "take that line out"}.in(metrics_jsonl.string() + ", line " +
                                                                                   std::to_string(run.lines + 1));
    }
  }
  return run;
}

}  // namespace phial::train
