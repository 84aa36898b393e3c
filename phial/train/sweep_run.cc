#include "phial/train/sweep_run.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <optional>
#include <span>
#include <string_view>
#include <system_error>

#include "phial/base/json_file.h"
#include "phial/base/json_writer.h"
#include "phial/base/output_file.h"
#include "phial/train/logged_run.h"

namespace phial::train {
namespace {

namespace fs = std::filesystem;

constexpr double kDiverged = std::numeric_limits<double>::infinity();
// A loss that ends so many times above where it began has not merely learned nothing.
constexpr double kDivergedShare = 1.1;

// Fields that change where a run stands or how it is computed, but not what it gives. The shape is held to that of the
// width's folder.
bool is_free_in_sweep(std::string_view field) {
  constexpr std::string_view kFree[] = {"model.config", "run.", "train.threads", "train.recompute_layers"};
  return std::ranges::any_of(kFree, [&](std::string_view group) { return field.starts_with(group); });
}

Json values_of(PretrainConfig config) {
  ConfigFields fields;
  config.describe(fields);
  return fields.values();
}

Status check_result(const Json& result, const Json& values) {
  const Json* began = find_member(result, "config");
  if (began == nullptr) return Error{Code::kCorrupt, "it has no \"config\"", "take the run's folder away"};
  for (const auto& [name, value] : values.items()) {
    const Json* before = find_member(*began, name);
    if (before == nullptr || *before == value || is_free_in_sweep(name)) continue;
    return Error{
        Code::kInvalid,
        "the run in this folder was made with " + name + " = " + dump_json(*before) + ", not " + dump_json(value),
        "set it back, or make another sweep with another run.out"};
  }
  return ok();
}

// What is begun is marked by a result without a loss: what stands there without one is not the sweep's.
Status begin_run(const fs::path& folder, const fs::path& path, const Json& values) {
  std::error_code failed;
  if (fs::exists(folder, failed) && !fs::is_empty(folder, failed)) {
    return Error{Code::kInvalid, folder.string() + " is there already, and no sweep made it", "name another run.out"};
  }
  PHIAL_CHECKED(make_folders(folder));
  return write_json_file(path, {{"config", values}});
}

void remove_weights(const fs::path& folder) {
  std::error_code failed;  // what is left takes room, and nothing else
  for (const char* weights : {"model", "snapshots"}) fs::remove_all(folder / weights, failed);
}

// Nothing: the last step was not measured on held-out data.
Result<std::optional<double>> judged_loss(const PretrainConfig& config) {
  PHIAL_TRY(const LoggedRun logged, read_metrics(fs::path(config.out) / "metrics.jsonl"));
  const bool is_held_out = !config.held_out.empty();
  const int64_t last_steps = is_held_out ? 1 : std::max<int64_t>(1, config.steps / 10);
  double sum = 0;
  int64_t count = 0;
  for (const CurvePoint& point : logged.of(is_held_out ? "held_out_loss" : "loss")) {
    if (point.step <= static_cast<double>(config.steps - last_steps)) continue;
    sum += point.value;
    ++count;
  }
  if (is_held_out && count == 0) return std::optional<double>();
  const std::vector<CurvePoint>& losses = logged.of("loss");
  if (count < last_steps || losses.empty()) return std::optional(kDiverged);  // some are not finite
  const double loss = sum / static_cast<double>(count);
  return std::optional(loss > kDivergedShare * losses.front().value ? kDiverged : loss);
}

// Runs to the end, if there is one.
Result<double> trained_loss(const PretrainConfig& config, const std::string& named, const RunHooks& hooks) {
  StepReport last;
  RunHooks watched = hooks;
  watched.log = [&](Severity, std::string_view text) {
    hooks.log(Severity::kDetail, named + ": " + std::string(text));
  };
  watched.report = [&](const StepReport& report) {
    last = report;
    hooks.report(report);
  };
  const Result<RunSummary> summary = pretrain(config, watched);
  // Memory that libtorch does not get has the same code, but in the middle of a run whose losses are finite.
  const bool may_diverge = last.was_skipped || (last.step > 0 && last.step == last.steps);
  if (!summary && (summary.error().code != Code::kOutOfRange || !may_diverge)) return summary.error();
  std::optional<double> loss;
  if (summary) {
    PHIAL_TRY(loss, judged_loss(config));
    const bool is_stopped = hooks.stop.stop_requested();
    if (!loss && (is_stopped || last.step == 0)) {  // it was stopped while it was measured: it is made again
      remove_weights(config.out);
      return is_stopped ? Error{Code::kCancelled, "stopped", ""} : trained_loss(config, named, hooks);
    }
  }
  if (loss.value_or(kDiverged) == kDiverged) {
    hooks.log(Severity::kWarning,
              named + " diverges: " +
                  (summary ? "its loss is not finite, or ends above where it began" : summary.error().message));
  }
  return loss.value_or(kDiverged);
}

}  // namespace

Result<double> loss_of_sweep_run(const PretrainConfig& config, const std::string& named, const RunHooks& hooks) {
  const fs::path folder = config.out, path = folder / "result.json";
  const Json values = values_of(config);
  PHIAL_TRY(Json result, read_json_if_there(path));
  if (result.is_null()) {
    PHIAL_CHECKED(begin_run(folder, path, values));
  } else {
    if (auto same = check_result(result, values); !same) return std::move(same).error().in(path.string());
    if (find_member(result, "loss") != nullptr) return find_number(result, "loss").value_or(kDiverged);
  }
  PHIAL_TRY(const double loss, trained_loss(config, named, hooks));
  PHIAL_CHECKED(write_json_file(path, {{"loss", loss}, {"config", values}}));  // null where it is infinite
  remove_weights(folder);
  return loss;
}

}  // namespace phial::train
