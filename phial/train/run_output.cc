#include "phial/train/run_output.h"

#include <chrono>
#include <span>
#include <string>
#include <string_view>
#include <system_error>

#include "phial/base/mapped_file.h"
#include "phial/base/output_file.h"
#include "phial/train/lora.h"
#include "phial/train/report.h"
#include "phial/train/save.h"

namespace phial::train {
namespace {

namespace fs = std::filesystem;

constexpr const char* kConfig = "config.toml";
constexpr std::string_view kConfigHead = "# Written by phial train: every field of this run.\n\n";
constexpr const char* kMetrics = "metrics.jsonl";
constexpr const char* kEvents = "events.out.tfevents.0.phial";  // TensorBoard looks for "tfevents"

}  // namespace

Status RunOutput::check() const {
  const bool is_run = has_snapshot(snapshots());
  for (const char* name : {"model", "adapter"}) {
    const fs::path made = folder() / name;
    std::error_code failed;
    if (fs::symlink_status(made, failed).type() == fs::file_type::not_found) continue;
    const bool is_read = fs::equivalent(made, model_.folder, failed) ||
                         (!config_.model_start.empty() && fs::equivalent(made, config_.model_start, failed));
    if (is_run && !is_read) continue;
    return Error{Code::kInvalid,
                 made.string() + (is_read ? " is what this run begins with: it would be replaced"
                                          : " is there already, and no snapshot of the run that made it"),
                 "name another run.out"};
  }
  if (is_run) return ok();
  const auto there = read_text_file(folder() / kConfig);
  const bool is_ours = there ? there->starts_with(kConfigHead) : there.error().code == Code::kNotFound;
  if (is_ours) return ok();
  return Error{Code::kInvalid, (folder() / kConfig).string() + " is not of a run, and a run would replace it",
               "name another run.out"};
}

Status RunOutput::open(const std::string& toml, const RunState& state) {
  const std::string text = std::string(kConfigHead) + toml;
  PHIAL_CHECKED(write_file_atomically(folder() / kConfig, std::as_bytes(std::span(text))));
  PHIAL_TRY(metrics_, MetricsFile::open(folder() / kMetrics, state.metrics_bytes));
  PHIAL_TRY(events_, EventFile::open(folder() / kEvents, state.events_bytes));
  return ok();
}

Status RunOutput::append(const StepReport& report, uint64_t tokens) {
  Json line = {{"step", report.step},
               {"loss", report.loss},  // null where it is not finite
               {"gradient_norm", report.gradient_norm},
               {"lr", report.rate},
               {"tokens", tokens},
               {"skipped", report.was_skipped},
               {"tokens_per_second", report.tokens_per_second},
               {"mfu", report.utilization}};
  for (const auto& [name, value] : report.metrics) line[name] = value;
  Metrics values = report.metrics;
  values.insert(values.begin(), {{"loss", report.loss},
                                 {"gradient_norm", report.gradient_norm},
                                 {"lr", report.rate},
                                 {"tokens_per_second", report.tokens_per_second},
                                 {"mfu", report.utilization}});
  const std::chrono::duration<double> now = std::chrono::system_clock::now().time_since_epoch();
  PHIAL_CHECKED(events_->append(report.step, now.count(), values));
  return metrics_->append(line);
}

void RunOutput::mark(RunState& state) const {
  if (metrics_) state.metrics_bytes = metrics_->bytes();
  if (events_) state.events_bytes = events_->bytes();
}

void RunOutput::write_page(const Log& log) const {
  const Status written =
      write_report(folder() / kMetrics, folder() / "report.html", place_of(folder()).filename().string());
  if (!written) log(Severity::kWarning, written.error().text() + "; report.html is left as it is");
}

tensor::DType RunOutput::dtype_of_model() const {
  if (config_.save_as == "bf16") return tensor::DType::kBF16;
  if (config_.save_as == "f32" || !model_.weights) return tensor::DType::kF32;
  const formats::Tensor* start = model_.weights->find("model.embed_tokens.weight");
  return start != nullptr && start->dtype == tensor::DType::kBF16 ? tensor::DType::kBF16 : tensor::DType::kF32;
}

Status RunOutput::write_model(Network& network) {
  const LoraOptions& lora = network.lora();
  std::error_code failed;
  fs::remove_all(model_folder(), failed);
  if (lora.rank > 0) {
    fs::remove_all(folder() / "adapter", failed);
    PHIAL_CHECKED(write_adapter(folder() / "adapter", network.trained(), lora, config_.model_start));
    merge(network.trained(), lora, network.parameters());
  }
  // What else the model's own preprocessor says, as which code transformers takes, stays.
  Json preprocessor = model_.preprocessor;
  if (model_.vision) preprocessor.update(spec::preprocessor_of(*model_.vision));
  return write_model_folder(model_folder(), model_.spec, model_.config, network.parameters(), dtype_of_model(),
                            model_.folder, preprocessor);
}

}  // namespace phial::train
