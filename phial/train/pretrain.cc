#include "phial/train/pretrain.h"

#include <ATen/Parallel.h>
#include <xxhash.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>
#include <optional>
#include <system_error>

#include "phial/base/json.h"
#include "phial/base/mapped_file.h"
#include "phial/base/output_file.h"
#include "phial/base/thread_pool.h"
#include "phial/formats/checkpoint.h"
#include "phial/spec/variants.h"
#include "phial/tokenizer/load.h"
#include "phial/tokenizer/vocabulary_hash.h"
#include "phial/train/loader.h"
#include "phial/train/metrics_file.h"
#include "phial/train/network.h"
#include "phial/train/optimizer.h"
#include "phial/train/save.h"
#include "phial/train/schedule.h"
#include "phial/train/snapshot.h"
#include "phial/train/torch_error.h"

namespace phial::train {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

// Fields that make a run what it is; with others changed it goes on, and says so.
constexpr std::string_view kFixed[] = {"model.", "mup.", "init.", "data.", "batch.", "train.seed"};

struct Model {
  spec::DecoderSpec spec;
  std::optional<spec::MupBase> base;
  Json config;
  fs::path folder;               // that config.json stands in
  uint64_t vocabulary_hash = 0;  // of the tokenizer beside it; 0: there is none
  std::shared_ptr<const formats::Checkpoint> start;
};

std::optional<spec::MupBase> base_of(const PretrainConfig& config, const spec::DecoderSpec& spec) {
  if (config.base_hidden_dim == 0) return std::nullopt;
  const auto scaled = [&](int width) {
    return std::max(1, static_cast<int>(int64_t{width} * config.base_hidden_dim / spec.hidden_dim));
  };
  spec::MupBase base = {.hidden_dim = static_cast<int>(config.base_hidden_dim),
                        .ffn_dim = static_cast<int>(config.base_ffn_dim),
                        .n_heads = static_cast<int>(config.base_n_heads),
                        .head_dim = static_cast<int>(config.base_head_dim)};
  if (base.ffn_dim == 0) base.ffn_dim = scaled(spec.ffn_dim);
  if (base.head_dim == 0) base.head_dim = spec.head_dim;
  return base;
}

Result<Model> read_model(const PretrainConfig& config) {
  Model model;
  const fs::path path =
      config.model_config.empty() ? fs::path(config.model_start) / "config.json" : fs::path(config.model_config);
  if (config.model_config.empty() && config.model_start.empty()) {
    return Error{Code::kInvalid, "no model is named", "give model.config, a config.json, or model.start, a folder"};
  }
  PHIAL_TRY(const std::string text, read_text_file(path));
  auto json = parse_json(text);
  if (!json) return std::move(json).error().in(path.string());
  model.config = *std::move(json);
  model.folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
  auto spec = spec::decoder_from_config(model.config);
  if (!spec) return std::move(spec).error().in(path.string());
  model.spec = *std::move(spec);
  // A finished run's multipliers are in its weights, unless config.json has fields for them.
  const bool sets_multipliers = config.base_hidden_dim != 0 || config.embedding_multiplier != 0;
  if (!config.model_start.empty() && sets_multipliers && model.spec.architecture != "phi3small") {
    return Error{Code::kInvalid, "model.start with mup: the weights of " + config.model_start + " hold its multipliers",
                 "leave the fields of mup away, and take an optimizer.lr for this width"};
  }
  if (!config.model_start.empty()) {
    PHIAL_TRY(auto opened, formats::Checkpoint::open(config.model_start));
    model.start = std::make_shared<const formats::Checkpoint>(std::move(opened));
  }
  if (const auto tokenizer = tokenizer::from_folder(model.folder)) {
    model.vocabulary_hash = tokenizer::vocabulary_hash(**tokenizer);
  } else if (tokenizer.error().code != Code::kNotFound) {
    return tokenizer.error();
  }
  if (config.embedding_multiplier != 0)
    model.spec.embedding_multiplier = static_cast<float>(config.embedding_multiplier);
  model.base = base_of(config, model.spec);
  if (model.base) model.spec = with_mup(model.spec, *model.base, config.attention_constant);
  if (auto valid = spec::validate(model.spec); !valid) {
    return Error{Code::kInvalid, valid.error().message, "see the fields of mup"};
  }
  if (config.sequence_tokens > model.spec.context) {
    return Error{Code::kInvalid,
                 "data.sequence_tokens is " + std::to_string(config.sequence_tokens) + ", the model's context " +
                     std::to_string(model.spec.context),
                 "take shorter rows, or a config.json with more max_position_embeddings"};
  }
  return model;
}

Result<std::vector<fs::path>> shard_files(const std::vector<std::string>& named) {
  std::vector<fs::path> files;
  for (const std::string& name : named) {
    std::error_code failed;
    if (!fs::is_directory(name, failed)) {
      files.emplace_back(name);
      continue;
    }
    const size_t before = files.size();
    for (fs::directory_iterator at(name, failed), end; !failed && at != end; at.increment(failed)) {
      if (at->path().extension() == ".tokens") files.push_back(at->path());
    }
    if (files.size() == before) {
      return Error{Code::kNotFound, name + " holds no file that ends in .tokens", "name the shards themselves"};
    }
    std::sort(files.begin() + static_cast<std::ptrdiff_t>(before), files.end());
  }
  return files;
}

Schedule schedule_of(const PretrainConfig& config) {
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
    // What an older version did not write cannot be compared.
    const bool is_fixed =
        before != nullptr && std::ranges::any_of(kFixed, [&](std::string_view f) { return name.starts_with(f); });
    const std::string was = before == nullptr ? "nothing" : dump_json(*before);
    if (is_fixed) {
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

class Run {
 public:
  Run(const PretrainConfig& config, const RunHooks& hooks, std::string toml, Json values, Model model, Loader loader,
      Network network)
      : config_(config),
        hooks_(hooks),
        toml_(std::move(toml)),
        values_(std::move(values)),
        model_(std::move(model)),
        loader_(std::move(loader)),
        network_(std::move(network)),
        optimizer_(network_.parameters(), model_.spec, model_.base,
                   {.beta1 = config.beta1,
                    .beta2 = config.beta2,
                    .epsilon = config.epsilon,
                    .weight_decay = config.weight_decay,
                    .clip = config.clip}),
        schedule_(schedule_of(config)),
        table_(choose_rope_table(model_.spec, spec::RopePolicy::kDynamic, static_cast<int>(config.sequence_tokens))) {}

  Result<RunSummary> operator()() {
    PHIAL_CHECKED(begin());
    const auto began = Clock::now();
    const int64_t first = state_.step;
    while (state_.step < config_.steps) {
      if (hooks_.stop.stop_requested()) {
        PHIAL_CHECKED(snapshot());
        return Error{Code::kCancelled, "stopped after step " + std::to_string(state_.step),
                     saved_step_ == state_.step ? "the same command goes on from there"
                                                : "the same command goes on from the last snapshot"};
      }
      const auto step_began = Clock::now();
      StepReport report;
      PHIAL_CHECKED(step(report));
      const double seconds = std::chrono::duration<double>(Clock::now() - step_began).count();
      report.tokens_per_second =
          static_cast<double>(config_.rows * config_.accumulate * config_.sequence_tokens) / seconds;
      const double passed = std::chrono::duration<double>(Clock::now() - began).count();
      report.seconds_left =
          passed / static_cast<double>(state_.step - first) * static_cast<double>(config_.steps - state_.step);
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
    PHIAL_TRY(const auto found,
              read_newest_snapshot(out() / "snapshots", network_.parameters(), optimizer_, hooks_.log));
    if (found) {
      state_ = *found;
      saved_step_ = state_.step;
      PHIAL_CHECKED(check_same_run(state_.config, values_, hooks_.log));
      hooks_.log(Severity::kNote, "goes on after step " + std::to_string(state_.step));
    }
    PHIAL_CHECKED(check_model_folder(found.has_value()));
    PHIAL_CHECKED(write_file_atomically(out() / "config.toml", std::as_bytes(std::span(toml_))));
    remove_partial_snapshots(out() / "snapshots");
    state_.config = values_;
    PHIAL_TRY(metrics_, MetricsFile::open(out() / "metrics.jsonl", state_.metrics_bytes));
    return ok();
  }

  // The model of this run with fewer steps is replaced at the end; nothing else is.
  Status check_model_folder(bool has_snapshot) const {
    const fs::path folder = out() / "model";
    std::error_code failed;
    if (fs::symlink_status(folder, failed).type() == fs::file_type::not_found) return ok();
    const bool is_read = fs::equivalent(folder, model_.folder, failed) ||
                         (!config_.model_start.empty() && fs::equivalent(folder, config_.model_start, failed));
    if (has_snapshot && !is_read) return ok();
    return Error{Code::kInvalid,
                 folder.string() + (is_read ? " is what this run begins with: it would be replaced"
                                            : " is there already, and no snapshot of the run that made it"),
                 "name another run.out"};
  }

  // Forwards and backwards over all rows of a step; the loss is the mean over all their targets together.
  Status step(StepReport& report) {
    std::vector<Batch> batches;
    int64_t targets = 0;
    for (int64_t i = 0; i < config_.accumulate; ++i) {
      PHIAL_TRY(Batch batch, loader_.batch(state_.samples, config_.rows));
      batch.table = table_;
      state_.samples += static_cast<uint64_t>(config_.rows);
      targets += batch.targets.ne(kIgnored).sum().item<int64_t>();
      batches.push_back(std::move(batch));
    }
    double nll = 0;
    for (const Batch& batch : batches) {
      const CrossEntropy loss = network_.loss(batch, config_.z_loss);
      nll += loss.nll.item<double>();
      (loss.objective / static_cast<double>(std::max<int64_t>(1, targets))).backward();
    }
    report.loss = nll / static_cast<double>(std::max<int64_t>(1, targets));
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
    state_.tokens += static_cast<uint64_t>(targets);
    report.step = ++state_.step;
    report.steps = config_.steps;
    return ok();
  }

  Status tell(const StepReport& report) {
    if (report.was_skipped) {
      hooks_.log(Severity::kWarning, "step " + std::to_string(report.step) +
                                         " is skipped: its loss or gradient is not finite (" +
                                         std::to_string(state_.skipped_in_a_row) + " in a row)");
    }
    hooks_.report(report);
    return metrics_->append({{"step", report.step},
                             {"loss", report.loss},  // null where it is not finite
                             {"gradient_norm", report.gradient_norm},
                             {"lr", report.rate},
                             {"tokens", state_.tokens},
                             {"skipped", report.was_skipped},
                             {"tokens_per_second", report.tokens_per_second}});
  }

  bool weights_are_finite() {
    return std::ranges::all_of(network_.parameters(), [](const Parameter& parameter) {
      return at::isfinite(parameter.value.detach()).all().item<bool>();
    });
  }

  Status snapshot() {
    // What may be beyond repair takes no good snapshot's place.
    if (saved_step_ == state_.step || state_.skipped_in_a_row > 0 || !weights_are_finite()) return ok();
    state_.optimizer_steps = optimizer_.steps();
    state_.metrics_bytes = metrics_->bytes();
    PHIAL_CHECKED(write_snapshot(out() / "snapshots", state_, network_.parameters(), optimizer_, config_.keep));
    saved_step_ = state_.step;
    return ok();
  }

  Result<RunSummary> finish() {
    if (state_.skipped_in_a_row > 0 || !weights_are_finite()) {
      return Error{
          Code::kOutOfRange,
          "after step " + std::to_string(state_.step) + " the loss or a weight is not finite: no model is written",
          "take a smaller optimizer.lr, or more train.steps"};
    }
    const fs::path folder = out() / "model";
    std::error_code failed;
    fs::remove_all(folder, failed);  // of this run with fewer steps: made anew from what the snapshot has
    PHIAL_CHECKED(write_model_folder(folder, model_.spec, model_.config, network_.parameters(),
                                     config_.save_as == "bf16" ? tensor::DType::kBF16 : tensor::DType::kF32,
                                     model_.folder));
    return RunSummary{state_.step, state_.tokens, spec::parameters(model_.spec), state_.loss, folder};
  }

  const PretrainConfig& config_;
  const RunHooks& hooks_;
  std::string toml_;
  Json values_;
  Model model_;
  Loader loader_;
  Network network_;
  AdamW optimizer_;
  Schedule schedule_;
  spec::RopeTable table_;
  RunState state_;
  std::optional<int64_t> saved_step_;  // of the snapshot that was last written or taken up
  std::optional<MetricsFile> metrics_;
};

Result<RunSummary> run(PretrainConfig& config, const RunHooks& hooks) {
  if (config.out.empty()) return Error{Code::kInvalid, "no folder is named for the run", "give run.out"};
  ConfigFields fields;
  config.describe(fields);
  PHIAL_TRY(Model model, read_model(config));
  PHIAL_TRY(const auto files, shard_files(config.shards));
  PHIAL_TRY(Loader loader, Loader::open(files, {.sequence_tokens = config.sequence_tokens,
                                                .vocab_size = model.spec.vocab_size,
                                                .seed = static_cast<uint64_t>(config.seed),
                                                .vocabulary_hash = model.vocabulary_hash}));
  std::vector<Parameter> parameters;
  if (model.start) {
    PHIAL_TRY(parameters, load_parameters(*model.start, model.spec));
  } else {
    parameters = new_parameters(model.spec, model.base,
                                {.sigma = config.sigma,
                                 .by_depth = config.by_depth,
                                 .zero_head = config.zero_head,
                                 .zero_query = config.zero_query},
                                static_cast<uint64_t>(config.seed));
  }
  PHIAL_CHECKED(make_folders(config.out));
  Network network(model.spec, std::move(parameters),
                  {.compute = config.compute == "bf16" ? Compute::kBf16 : Compute::kF32,
                   .recompute_layers = config.recompute_layers});
  // Beside the fields, what the files that they name hold.
  Json values = fields.values();
  const std::string architecture = dump_json(model.config);
  values["model.config_hash"] = std::to_string(XXH3_64bits(architecture.data(), architecture.size()));
  values["data.windows"] = loader.windows();
  values["data.hash"] = std::to_string(loader.fingerprint());
  return Run(config, hooks, fields.toml(), std::move(values), std::move(model), std::move(loader),
             std::move(network))();
}

}  // namespace

Result<RunSummary> pretrain(PretrainConfig config, const RunHooks& hooks) {
  at::set_num_threads(config.threads > 0 ? static_cast<int>(config.threads) : usable_cores());
  try {
    return run(config, hooks);
  } catch (const std::exception& thrown) {  // libtorch's, at the room's door
    return torch_error(thrown);
  }
}

}  // namespace phial::train
