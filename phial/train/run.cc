#include "phial/train/run.h"

#include <ATen/Parallel.h>
#include <xxhash.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <functional>
#include <string>
#include <system_error>

#include "phial/base/output_file.h"
#include "phial/base/thread_pool.h"
#include "phial/spec/variants.h"
#include "phial/train/device.h"
#include "phial/train/gradient_buckets.h"
#include "phial/train/lora.h"
#include "phial/train/optimizer.h"
#include "phial/train/process_group.h"
#include "phial/train/run_output.h"
#include "phial/train/schedule.h"
#include "phial/train/snapshot.h"
#include "phial/train/torch_error.h"
#include "phial/train/utilization.h"

namespace phial::train {
namespace {

using Clock = std::chrono::steady_clock;

// Fields that make a run what it is; with others changed it goes on, and says so.
bool is_fixed(std::string_view field) {
  constexpr std::string_view kFixed[] = {"model.",  "mup.",       "init.",        "data.",
                                         "batch.",  "lora.",      "dpo.",         "extend.",
                                         "vision.", "train.seed", "train.epochs", "train.average_decay"};
  return !field.starts_with("data.held_out") && field != "dpo.measure_kl" &&
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

Sharding sharding_of(const RunConfig& config) {
  return config.shard == "optimizer" ? Sharding::kOptimizer : Sharding::kNone;
}

class Loop {
 public:
  Loop(Run run, Network network, ProcessGroup& group, const RunHooks& hooks)
      : run_(std::move(run)),
        config_(run_.config),
        hooks_(hooks),
        network_(std::move(network)),
        group_(group),
        gradients_(network_.trained(), group, sharding_of(config_)),
        optimizer_(network_.trained(), run_.model.spec, run_.mup_base,
                   {.beta1 = config_.beta1,
                    .beta2 = config_.beta2,
                    .epsilon = config_.epsilon,
                    .weight_decay = config_.weight_decay,
                    .clip = config_.clip},
                   gradients_.owned()),
        output_(config_, run_.model),
        schedule_(schedule_of(config_)) {
    if (config_.average_decay > 0) average_.emplace(network_.trained(), config_.average_decay);
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
      PHIAL_TRY(const bool is_stopped, group_.is_any(hooks_.stop.stop_requested()));
      if (is_stopped) return stop();
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
  // What rank 0 alone does, and whether it could, at every rank.
  Status at_first(const std::function<Status()>& what) { return group_.agree(group_.is_first() ? what() : ok()); }

  int64_t hash_of_values() const {
    const std::string text = dump_json(values_);
    return static_cast<int64_t>(XXH3_64bits(text.data(), text.size()));
  }

  Status begin() {
    PHIAL_CHECKED(group_.check_same(hash_of_values(), "configuration, model or data"));
    PHIAL_CHECKED(at_first([&] { return output_.check(); }));
    PHIAL_CHECKED(run_.stage.prepare(network_, hooks_, group_));
    const auto accept = [&](const RunState& state) { return check_same_run(state.config, values_, hooks_.log); };
    PHIAL_TRY(const auto found, read_newest_snapshot(output_.snapshots(), network_.trained(), average(), optimizer_,
                                                     accept, hooks_.log, group_));
    if (found) {
      state_ = *found;
      saved_step_ = state_.step;
      hooks_.log(Severity::kNote, "goes on after step " + std::to_string(state_.step));
    } else {
      // Another machine's logarithm may have drawn others, by their last bits.
      for (const Parameter& each : network_.trained()) PHIAL_CHECKED(group_.broadcast(each.value.detach()));
      if (average_) average_.emplace(network_.trained(), config_.average_decay);
    }
    first_step_ = state_.step;
    peak_ = config_.peak_tflops > 0 ? config_.peak_tflops * 1e12
                                    : peak_operations(compute_type(config_), network_.device());
    peak_ *= group_.size();
    state_.config = values_;
    return at_first([&] {
      remove_partial_snapshots(output_.snapshots());
      return output_.open(run_.fields.toml(), state_);
    });
  }

  Error stop() {
    if (Status saved = snapshot(); !saved) return std::move(saved).error();
    if (group_.is_first()) output_.write_page(hooks_.log);
    return Error{Code::kCancelled, "stopped after step " + std::to_string(state_.step),
                 saved_step_ == state_.step ? "the same command goes on from there"
                                            : "the same command goes on from the last snapshot"};
  }

  Result<ComputedRows> step(StepReport& report) {
    gradients_.begin_step();
    PHIAL_TRY(StepSums sums, run_.stage.step(network_, state_.samples, gradients_));
    state_.samples += static_cast<uint64_t>(config_.rows * config_.accumulate);
    report.loss = sums.loss;
    report.metrics = std::move(sums.metrics);
    PHIAL_TRY(report.gradient_norm, gradient_norm());
    report.rate = learning_rate(schedule_, state_.step);
    report.was_skipped = !std::isfinite(report.loss) || !std::isfinite(report.gradient_norm);
    if (report.was_skipped) {
      ++state_.skipped_in_a_row;
    } else {
      optimizer_.step(report.rate, report.gradient_norm);
      PHIAL_CHECKED(gradients_.gather_weights());
      if (average_) average_->add(network_.trained(), optimizer_.steps());
      state_.skipped_in_a_row = 0;
      state_.loss = report.loss;
    }
    optimizer_.clear_gradients();
    state_.tokens += sums.targets;
    report.step = ++state_.step;
    report.steps = config_.steps;
    return sums.rows;
  }

  // Of all gradients together, the same number at every rank: the parts that ranks own are added up, or rank 0's is
  // everyone's.
  Result<double> gradient_norm() {
    const bool counts = group_.is_first() || !optimizer_.owns_all();
    double squares = counts ? optimizer_.gradient_squares() : 0;
    PHIAL_CHECKED(group_.sum({&squares, 1}));
    return std::sqrt(squares);
  }

  Status evaluate(StepReport& report) {
    if (average_) average_->swap_with(network_.trained());
    const auto measured = run_.stage.evaluate(network_, hooks_.stop, group_);
    if (average_) average_->swap_with(network_.trained());
    PHIAL_TRY(const Metrics found, measured);
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
    return at_first([&] { return output_.append(report, state_.tokens); });
  }

  // Whether the loss and the weights are finite, at every rank.
  Result<bool> is_sound() {
    const bool are_finite = std::ranges::all_of(network_.trained(), [](const Parameter& parameter) {
      return at::isfinite(parameter.value.detach()).all().item<bool>();
    });
    PHIAL_TRY(const bool is_any_bad, group_.is_any(state_.skipped_in_a_row > 0 || !are_finite));
    return !is_any_bad;
  }

  Status snapshot() {
    if (saved_step_ == state_.step) return ok();
    PHIAL_TRY(const bool is_good, is_sound());
    if (!is_good) return ok();  // what may be beyond repair takes no good snapshot's place
    state_.optimizer_steps = optimizer_.steps();
    output_.mark(state_);
    PHIAL_CHECKED(
        write_snapshot(output_.snapshots(), state_, network_.trained(), average(), optimizer_, config_.keep, group_));
    saved_step_ = state_.step;
    return ok();
  }

  Status write_model() {
    std::error_code failed;
    // A run that had ended already leaves what stands there.
    if (state_.step > first_step_ || !std::filesystem::exists(output_.model_folder(), failed)) {
      PHIAL_CHECKED(output_.write_model(network_));
    }
    output_.write_page(hooks_.log);
    return ok();
  }

  Result<RunSummary> finish() {
    PHIAL_TRY(const bool is_good, is_sound());
    if (!is_good) {
      if (group_.is_first()) output_.write_page(hooks_.log);
      return Error{
          Code::kOutOfRange,
          "after step " + std::to_string(state_.step) + " the loss or a weight is not finite: no model is written",
          "take a smaller optimizer.lr, or more train.steps"};
    }
    if (average_) average_->swap_with(network_.trained());
    PHIAL_CHECKED(at_first([&] { return write_model(); }));
    uint64_t parameters = 0;
    for (const Parameter& each : network_.parameters()) parameters += static_cast<uint64_t>(each.value.numel());
    return RunSummary{state_.step, state_.tokens, parameters, state_.loss, last_metrics_, output_.model_folder()};
  }

  WeightAverage* average() { return average_ ? &*average_ : nullptr; }

  Run run_;
  const RunConfig& config_;
  const RunHooks& hooks_;
  Json values_;
  Network network_;
  ProcessGroup& group_;
  GradientBuckets gradients_;
  AdamW optimizer_;
  std::optional<WeightAverage> average_;
  RunOutput output_;
  Schedule schedule_;
  RunState state_;
  Metrics last_metrics_;
  int64_t first_step_ = 0;             // that this call began after
  double peak_ = 1;                    // operations a second, of all ranks
  std::optional<int64_t> saved_step_;  // of the snapshot that was last written or taken up
};

}  // namespace

Result<RunSummary> run(Run run, const RunHooks& hooks) {
  PHIAL_CHECKED(make_folders(run.config.out));
  PHIAL_TRY(ProcessGroup group, ProcessGroup::join(run.config.world, std::chrono::seconds(run.config.peer_timeout)));
  PHIAL_TRY(const at::Device device, open_device(run.config));
  const LoraOptions lora = {.rank = run.config.lora_rank, .alpha = run.config.lora_alpha};
  std::vector<Parameter> adapter;
  if (lora.rank > 0) adapter = new_adapter(run.model.spec, lora, static_cast<uint64_t>(run.config.seed));
  Network network(run.model.spec, std::move(run.parameters),
                  {.compute = run.config.compute == "bf16" ? Compute::kBf16 : Compute::kF32,
                   .recompute_layers = run.config.recompute_layers,
                   .device = device},
                  std::move(adapter), lora, run.model.vision ? &*run.model.vision : nullptr);
  return Loop(std::move(run), std::move(network), group, hooks)();
}

Result<RunSummary> with_torch(const RunConfig& config, const std::function<Result<RunSummary>()>& body) {
  if (config.out.empty()) return Error{Code::kInvalid, "no folder is named for the run", "give run.out"};
  const int cores = std::max(1, usable_cores() / config.world.on_this_machine);
  at::set_num_threads(config.threads > 0 ? static_cast<int>(config.threads) : cores);
  try {
    PHIAL_CHECKED(open_device(config));  // before anything is read
    return body();
  } catch (const std::exception& thrown) {  // libtorch's, at the room's door
    return torch_error(thrown);
  }
}

}  // namespace phial::train
