#include "phial/train/run.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <system_error>

#include "phial/base/mapped_file.h"
#include "phial/base/output_file.h"
#include "phial/base/thread_pool.h"
#include "phial/spec/variants.h"
#include "phial/train/event_file.h"
#include "phial/train/lora.h"
#include "phial/train/metrics_file.h"
#include "phial/train/optimizer.h"
#include "phial/train/report.h"
#include "phial/train/save.h"
#include "phial/train/schedule.h"
#include "phial/train/snapshot.h"
#include "phial/train/torch_error.h"
#include "phial/train/utilization.h"

namespace phial::train {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr const char* kConfig = "config.toml";
constexpr std::string_view kConfigHead = "# Written by phial train: every field of this run.\n\n";
constexpr const char* kMetrics = "metrics.jsonl";
constexpr const char* kEvents = "events.out.tfevents.0.phial";  // TensorBoard looks for "tfevents"

// Fields that make a run what it is; with others changed it goes on, and says so.
bool is_fixed(std::string_view field) {
  constexpr std::string_view kFixed[] = {"model.", "mup.", "init.",      "data.",       "batch.",
                                         "lora.",  "dpo.", "train.seed", "train.epochs"};
  return !field.starts_with("data.held_out") &&
         std::ranges::any_of(kFixed, [&](std::string_view group) { return field.starts_with(group); });
}

Schedule schedule_of(const RunConfig& config) {
  Schedule schedule = {.kind = ScheduleKind::kCosine,
                       .peak = config.lr,
                       .final_share = config.final_share,
                       .steps = config.steps,
                       .warmup_steps = config.warmup_steps,
                       .decay_steps = config.decay_steps};
  if (config.schedule == "wsd") schedule.kind = ScheduleKind::kWarmupStableDecay;
  if (config.schedule == "constant") schedule.kind = ScheduleKind::kConstant;
  if (config.decay_shape == "linear") schedule.decay_shape = DecayShape::kLinear;
  return schedule;
}

Status check_same_run(const Json& began, const Json& now, const Log& log) {
  for (const auto& [name, value] : now.items()) {
    const Json* before = find_member(began, name);
    if (before != nullptr && *before == value) continue;
    const std::string was = before == nullptr ? "nothing" : dump_json(*before);
    // What an older version did not write cannot be compared.
    if (before != nullptr && is_fixed(name)) {
      std::string message = "the run in this folder began with " + name;
      message.append(" = ").append(was).append(", not ").append(dump_json(value));
      return Error{Code::kInvalid, std::move(message), "set it back, or begin another run with another run.out"};
    }
    std::string message = "goes on with " + name;
    message.append(" = ").append(dump_json(value)).append(", before ").append(was);
    log(Severity::kNote, message);
  }
  return ok();
}

at::ScalarType compute_type(const RunConfig& config) { return config.compute == "bf16" ? at::kBFloat16 : at::kFloat; }

LoraOptions lora_of(const RunConfig& config) { return {.rank = config.lora_rank, .alpha = config.lora_alpha}; }

class Loop {
 public:
  Loop(Run run, Network network, const RunHooks& hooks)
      : run_(std::move(run)),
        config_(run_.config),
        hooks_(hooks),
        network_(std::move(network)),
        optimizer_(network_.trained(), run_.model.spec, run_.mup_base,
                   {.beta1 = config_.beta1,
                    .beta2 = config_.beta2,
                    .epsilon = config_.epsilon,
                    .weight_decay = config_.weight_decay,
                    .clip = config_.clip}),
        schedule_(schedule_of(config_)) {
    // Beside the fields, what the files that they name hold.
    values_ = run_.fields.values();
    values_["model.config_hash"] = std::to_string(run_.model.config_hash());
    if (run_.model.weights) values_["model.weights_hash"] = std::to_string(hash_of(network_.parameters()));
    for (const auto& [name, value] : run_.data.items()) values_["data." + name] = value;
  }

  Result<RunSummary> operator()() {
    PHIAL_CHECKED(begin());
    const auto began = Clock::now();
    const int64_t first = state_.step;
    while (state_.step < config_.steps) {
      if (hooks_.stop.stop_requested()) {
        PHIAL_CHECKED(snapshot());
        write_page();
        return Error{Code::kCancelled, "stopped after step " + std::to_string(state_.step),
                     saved_step_ == state_.step ? "the same command goes on from there"
                                                : "the same command goes on from the last snapshot"};
      }
      const auto step_began = Clock::now();
      StepReport report;
      PHIAL_TRY(const ComputedRows rows, step(report));
      const double seconds = std::chrono::duration<double>(Clock::now() - step_began).count();
      report.tokens_per_second = static_cast<double>(rows.tokens) / seconds;
      report.utilization = operations(run_.model.spec, rows, config_.lora_rank > 0) / (seconds * peak_);
      const double passed = std::chrono::duration<double>(Clock::now() - began).count();
      report.seconds_left =
          passed / static_cast<double>(state_.step - first) * static_cast<double>(config_.steps - state_.step);
      if (state_.step % config_.evaluate_every == 0 || state_.step == config_.steps) PHIAL_CHECKED(evaluate(report));
      PHIAL_CHECKED(tell(report));
      if (state_.skipped_in_a_row > config_.max_skipped) {
        return Error{Code::kOutOfRange,
                     "no finite loss or gradient in " + std::to_string(state_.skipped_in_a_row) + " steps up to " +
                         std::to_string(state_.step),
                     "take a smaller optimizer.lr, or go on from an older snapshot with other data"};
      }
      if (state_.step % config_.snapshot_every == 0 || state_.step == config_.steps) PHIAL_CHECKED(snapshot());
    }
    return finish();
  }

 private:
  fs::path out() const { return config_.out; }

  Status begin() {
    PHIAL_CHECKED(check_outputs(has_snapshot(out() / "snapshots")));
    PHIAL_CHECKED(run_.stage.prepare(network_, hooks_));
    const auto accept = [&](const RunState& state) { return check_same_run(state.config, values_, hooks_.log); };
    PHIAL_TRY(const auto found,
              read_newest_snapshot(out() / "snapshots", network_.trained(), optimizer_, accept, hooks_.log));
    if (found) {
      state_ = *found;
      saved_step_ = state_.step;
      hooks_.log(Severity::kNote, "goes on after step " + std::to_string(state_.step));
    }
    first_step_ = state_.step;
    peak_ = config_.peak_tflops > 0 ? config_.peak_tflops * 1e12 : peak_operations(compute_type(config_));
    const std::string toml = std::string(kConfigHead) + run_.fields.toml();
    PHIAL_CHECKED(write_file_atomically(out() / kConfig, std::as_bytes(std::span(toml))));
    remove_partial_snapshots(out() / "snapshots");
    state_.config = values_;
    PHIAL_TRY(metrics_, MetricsFile::open(out() / kMetrics, state_.metrics_bytes));
    PHIAL_TRY(events_, EventFile::open(out() / kEvents, state_.events_bytes));
    return ok();
  }

  // What a run with fewer steps wrote is replaced; nothing else is.
  Status check_outputs(bool has_snapshot) const {
    for (const char* name : {"model", "adapter"}) {
      const fs::path folder = out() / name;
      std::error_code failed;
      if (fs::symlink_status(folder, failed).type() == fs::file_type::not_found) continue;
      const bool is_read = fs::equivalent(folder, run_.model.folder, failed) ||
                           (!config_.model_start.empty() && fs::equivalent(folder, config_.model_start, failed));
      if (has_snapshot && !is_read) continue;
      return Error{Code::kInvalid,
                   folder.string() + (is_read ? " is what this run begins with: it would be replaced"
                                              : " is there already, and no snapshot of the run that made it"),
                   "name another run.out"};
    }
    if (has_snapshot) return ok();
    const auto there = read_text_file(out() / kConfig);
    const bool is_ours = there ? there->starts_with(kConfigHead) : there.error().code == Code::kNotFound;
    if (is_ours) return ok();
    return Error{Code::kInvalid, (out() / kConfig).string() + " is not of a run, and a run would replace it",
                 "name another run.out"};
  }

  Result<ComputedRows> step(StepReport& report) {
    PHIAL_TRY(StepSums sums, run_.stage.step(network_, state_.samples));
    state_.samples += static_cast<uint64_t>(config_.rows * config_.accumulate);
    report.loss = sums.loss;
    report.metrics = std::move(sums.metrics);
    report.gradient_norm = optimizer_.gradient_norm();
    report.rate = learning_rate(schedule_, state_.step);
    report.was_skipped = !std::isfinite(report.loss) || !std::isfinite(report.gradient_norm);
    if (report.was_skipped) {
      ++state_.skipped_in_a_row;
    } else {
      optimizer_.step(report.rate, report.gradient_norm);
      state_.skipped_in_a_row = 0;
      state_.loss = report.loss;
    }
    optimizer_.clear_gradients();
    state_.tokens += sums.targets;
    report.step = ++state_.step;
    report.steps = config_.steps;
    return sums.rows;
  }

  Status evaluate(StepReport& report) {
    PHIAL_TRY(const Metrics found, run_.stage.evaluate(network_, hooks_.stop));
    report.metrics.insert(report.metrics.end(), found.begin(), found.end());
    return ok();
  }

  Status tell(const StepReport& report) {
    last_metrics_ = report.metrics;
    if (report.was_skipped) {
      hooks_.log(Severity::kWarning, "step " + std::to_string(report.step) +
                                         " is skipped: its loss or gradient is not finite (" +
                                         std::to_string(state_.skipped_in_a_row) + " in a row)");
    }
    hooks_.report(report);
    Json line = {{"step", report.step},
                 {"loss", report.loss},  // null where it is not finite
                 {"gradient_norm", report.gradient_norm},
                 {"lr", report.rate},
                 {"tokens", state_.tokens},
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

  bool weights_are_finite() {
    return std::ranges::all_of(network_.trained(), [](const Parameter& parameter) {
      return at::isfinite(parameter.value.detach()).all().item<bool>();
    });
  }

  Status snapshot() {
    // What may be beyond repair takes no good snapshot's place.
    if (saved_step_ == state_.step || state_.skipped_in_a_row > 0 || !weights_are_finite()) return ok();
    state_.optimizer_steps = optimizer_.steps();
    state_.metrics_bytes = metrics_->bytes();
    state_.events_bytes = events_->bytes();
    PHIAL_CHECKED(write_snapshot(out() / "snapshots", state_, network_.trained(), optimizer_, config_.keep));
    saved_step_ = state_.step;
    return ok();
  }

  // What goes wrong here keeps no model back.
  void write_page() const {
    const Status written = write_report(out() / kMetrics, out() / "report.html", place_of(out()).filename().string());
    if (!written) hooks_.log(Severity::kWarning, written.error().text() + "; report.html is left as it is");
  }

  tensor::DType dtype_of_model() const {
    if (config_.save_as == "bf16") return tensor::DType::kBF16;
    if (config_.save_as == "f32" || !run_.model.weights) return tensor::DType::kF32;
    const formats::Tensor* start = run_.model.weights->find("model.embed_tokens.weight");
    return start != nullptr && start->dtype == tensor::DType::kBF16 ? tensor::DType::kBF16 : tensor::DType::kF32;
  }

  Status write_model(const fs::path& folder) {
    const LoraOptions lora = lora_of(config_);
    std::error_code failed;
    fs::remove_all(folder, failed);
    if (lora.rank > 0) {
      fs::remove_all(out() / "adapter", failed);
      PHIAL_CHECKED(write_adapter(out() / "adapter", network_.trained(), lora, config_.model_start));
      merge(network_.trained(), lora, network_.parameters());
    }
    return write_model_folder(folder, run_.model.spec, run_.model.config, network_.parameters(), dtype_of_model(),
                              run_.model.folder);
  }

  Result<RunSummary> finish() {
    if (state_.skipped_in_a_row > 0 || !weights_are_finite()) {
      write_page();
      return Error{
          Code::kOutOfRange,
          "after step " + std::to_string(state_.step) + " the loss or a weight is not finite: no model is written",
          "take a smaller optimizer.lr, or more train.steps"};
    }
    const fs::path folder = out() / "model";
    std::error_code failed;
    // A run that had ended already leaves what stands there.
    if (state_.step > first_step_ || !fs::exists(folder, failed)) PHIAL_CHECKED(write_model(folder));
    write_page();
    return RunSummary{state_.step, state_.tokens, spec::parameters(run_.model.spec),
                      state_.loss, last_metrics_, folder};
  }

  Run run_;
  const RunConfig& config_;
  const RunHooks& hooks_;
  Json values_;
  Network network_;
  AdamW optimizer_;
  Schedule schedule_;
  RunState state_;
  Metrics last_metrics_;
  int64_t first_step_ = 0;             // that this call began after
  double peak_ = 1;                    // operations a second
  std::optional<int64_t> saved_step_;  // of the snapshot that was last written or taken up
  std::optional<MetricsFile> metrics_;
  std::optional<EventFile> events_;
};

}  // namespace

Result<RunSummary> run(Run run, const RunHooks& hooks) {
  PHIAL_CHECKED(make_folders(run.config.out));
  const LoraOptions lora = lora_of(run.config);
  std::vector<Parameter> adapter;
  if (lora.rank > 0) adapter = new_adapter(run.model.spec, lora, static_cast<uint64_t>(run.config.seed));
  Network network(run.model.spec, std::move(run.parameters),
                  {.compute = run.config.compute == "bf16" ? Compute::kBf16 : Compute::kF32,
                   .recompute_layers = run.config.recompute_layers},
                  std::move(adapter), lora);
  return Loop(std::move(run), std::move(network), hooks)();
}

Result<RunSummary> with_torch(const RunConfig& config, const std::function<Result<RunSummary>()>& body) {
  if (config.out.empty()) return Error{Code::kInvalid, "no folder is named for the run", "give run.out"};
  at::set_num_threads(config.threads > 0 ? static_cast<int>(config.threads) : usable_cores());
  try {
    return body();
  } catch (const std::exception& thrown) {  // libtorch's, at the room's door
    return torch_error(thrown);
  }
}

}  // namespace phial::train
