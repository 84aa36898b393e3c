#include "phial/train/sweep.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <numeric>
#include <span>
#include <string>
#include <utility>

#include "phial/base/json_file.h"
#include "phial/base/json_writer.h"
#include "phial/base/output_file.h"
#include "phial/train/save.h"
#include "phial/train/start_model.h"
#include "phial/train/sweep_report.h"
#include "phial/train/sweep_run.h"

namespace phial::train {
namespace {

namespace fs = std::filesystem;

constexpr double kMostWidth = 65536;

struct SweepPlan {
  PretrainConfig shared;
  fs::path out;
  StartModel base = {};
  bool mup = true;
  std::vector<int64_t> widths = {}, seeds = {};
  std::vector<double> rates = {};

  fs::path folder(int64_t width) const { return out / ("width-" + std::to_string(width)); }
  size_t runs() const { return widths.size() * rates.size() * seeds.size(); }
};

template <class T>
Result<std::vector<T>> ascending(std::vector<T> values, const std::string& field) {
  std::ranges::sort(values);
  if (const auto twice = std::ranges::adjacent_find(values); twice != values.end()) {
    return Error{Code::kInvalid, field + " names " + dump_json(Json(*twice)) + " twice", "name each once"};
  }
  return values;
}

Result<std::vector<int64_t>> widths_of(const SweepConfig& config, int64_t base) {
  if (config.widths.empty()) return std::vector<int64_t>{base, 2 * base, 4 * base};
  std::vector<int64_t> widths;
  for (const double width : config.widths) {
    const bool is_multiple = width > 0 && width <= kMostWidth && std::fmod(width, static_cast<double>(base)) == 0;
    if (!is_multiple) {
      return Error{
          Code::kInvalid,
          "sweep.widths: " + dump_json(Json(width)) + " is no multiple of " + std::to_string(base) +
              ", the width of model.config, up to 65536",
          "take " + std::to_string(base) + ", " + std::to_string(2 * base) + ", " + std::to_string(4 * base) + ", ..."};
    }
    widths.push_back(static_cast<int64_t>(width));
  }
  return ascending(std::move(widths), "sweep.widths");
}

Result<std::vector<double>> rates_of(const SweepConfig& config) {
  std::vector<double> rates = config.rates;
  if (rates.empty()) {
    for (int power = -3; power <= 3; ++power) rates.push_back(std::ldexp(config.lr, power));
  }
  if (!std::ranges::all_of(rates, [](double rate) { return rate > 0 && std::isfinite(rate); })) {
    return Error{Code::kInvalid, "sweep.rates or optimizer.lr has a learning rate that is not above 0", "take it out"};
  }
  return ascending(std::move(rates), "sweep.rates");
}

Status check_fields(const SweepConfig& config) {
  if (config.out.empty()) return Error{Code::kInvalid, "no folder is named for the sweep", "give run.out"};
  if (!config.model_start.empty()) {
    return Error{Code::kInvalid, "model.start is given: weights have one width, a sweep has several",
                 "leave it away, and name the shape as model.config"};
  }
  if (config.base_ffn_dim != 0 || config.base_n_heads != 0 || config.base_head_dim != 0) {
    return Error{Code::kInvalid,
                 "mup.base_ffn_dim, base_n_heads or base_head_dim is given: a sweep's base is model.config",
                 "leave them away"};
  }
  return ok();
}

Result<SweepPlan> plan_of(const SweepConfig& config) {
  PHIAL_CHECKED(check_fields(config));
  SweepPlan plan = {.shared = config, .out = config.out, .mup = config.mup};
  PHIAL_TRY(plan.base, open_start_model(config.model_config, ""));
  PHIAL_CHECKED(check_text_only(plan.base));
  const int base = plan.base.spec.hidden_dim;
  if (config.base_hidden_dim != 0 && config.base_hidden_dim != base) {
    return Error{Code::kInvalid,
                 "mup.base_hidden_dim is " + std::to_string(config.base_hidden_dim) + ", the width of model.config " +
                     std::to_string(base),
                 "leave it away, or name a config.json of that width"};
  }
  PHIAL_TRY(plan.widths, widths_of(config, base));
  PHIAL_TRY(plan.rates, rates_of(config));
  plan.seeds.resize(static_cast<size_t>(std::max<int64_t>(1, config.seeds)));
  std::iota(plan.seeds.begin(), plan.seeds.end(), config.seed);
  return plan;
}

// The shape of the base, so many times as wide: more heads of the same width.
Json widened(const StartModel& base, int64_t times) {
  Json config = base.config;
  const spec::DecoderSpec& spec = base.spec;
  config["hidden_size"] = spec.hidden_dim * times;
  config[spec.architecture == "phi3small" ? "ff_intermediate_size" : "intermediate_size"] = spec.ffn_dim * times;
  config["num_attention_heads"] = spec.n_heads * times;
  config["num_key_value_heads"] = spec.n_kv_heads * times;
  return config;
}

Status write_width(const SweepPlan& plan, int64_t width) {
  const fs::path folder = plan.folder(width), path = folder / "config.json";
  const Json config = widened(plan.base, width / plan.base.spec.hidden_dim);
  if (auto valid = spec::decoder_from_config(config); !valid) {
    return std::move(valid).error().in("model.config at width " + std::to_string(width));
  }
  PHIAL_TRY(const Json there, read_json_if_there(path));
  if (there == config) return ok();
  if (!there.is_null()) {
    return Error{Code::kInvalid, path.string() + " is another shape than model.config at that width",
                 "make another sweep with another run.out"};
  }
  PHIAL_CHECKED(make_folders(folder));
  PHIAL_CHECKED(copy_tokenizer(plan.base.folder, folder));  // by which the data is seen to be of the same vocabulary
  return write_json_file(path, config, 2);
}

PretrainConfig config_of(const SweepPlan& plan, const SweepRun& run) {
  PretrainConfig config = plan.shared;
  const fs::path folder = plan.folder(run.width);
  config.model_config = (folder / "config.json").string();
  config.base_hidden_dim = plan.mup ? plan.base.spec.hidden_dim : 0;
  config.lr = run.rate;
  config.seed = run.seed;
  config.out = (folder / ("lr-" + dump_json(Json(run.rate))) / ("seed-" + std::to_string(run.seed))).string();
  return config;
}

std::string name_of(const SweepRun& run, const SweepPlan& plan) {
  return "width " + std::to_string(run.width) + ", lr " + dump_json(Json(run.rate)) +
         (plan.seeds.size() > 1 ? ", seed " + std::to_string(run.seed) : "");
}

Result<double> loss_of(const SweepPlan& plan, const SweepRun& run, const SweepHooks& hooks) {
  const RunHooks of_run = {
      .log = hooks.log, .report = [&](const StepReport& step) { hooks.report(run, step); }, .stop = hooks.stop};
  const std::string name = name_of(run, plan);
  if (!hooks.stop.stop_requested()) {
    auto loss = loss_of_sweep_run(config_of(plan, run), name, of_run);
    if (loss) return loss;
    if (loss.error().code != Code::kCancelled) return std::move(loss).error().in(name);
  }
  return Error{Code::kCancelled,
               "stopped in run " + std::to_string(run.number) + " of " + std::to_string(run.runs) + ", " + name,
               "the same command goes on from there"};
}

// Run by run, from the narrowest width and the lowest rate.
Result<std::vector<SweepWidth>> widths_swept(const SweepPlan& plan, const SweepHooks& hooks) {
  std::vector<SweepWidth> widths;
  SweepRun run = {.runs = plan.runs()};
  for (const int64_t width : plan.widths) {
    SweepWidth& swept = widths.emplace_back(SweepWidth{.width = run.width = width});
    for (const double rate : plan.rates) {
      run.rate = rate;
      std::vector<double>& losses = swept.runs.emplace_back();
      for (const int64_t seed : plan.seeds) {
        run.seed = seed;
        ++run.number;
        PHIAL_TRY(const double loss, loss_of(plan, run, hooks));
        losses.push_back(loss);
      }
      swept.losses.push_back(std::accumulate(losses.begin(), losses.end(), 0.0) / static_cast<double>(losses.size()));
    }
    const auto best = std::ranges::min_element(swept.losses);
    if (std::isfinite(*best)) swept.best = static_cast<size_t>(best - swept.losses.begin());
  }
  return widths;
}

// Whether a better rate may lie beyond those that were tried.
void warn_of_edges(const Sweep& sweep, const Log& log) {
  if (sweep.rates.size() < 2) return;
  for (const SweepWidth& swept : sweep.widths) {
    const bool is_lowest = swept.best == 0, is_highest = swept.best == sweep.rates.size() - 1;
    if (!is_lowest && !is_highest) continue;
    log(Severity::kWarning,
        "the best rate of width " + std::to_string(swept.width) + " is the " + (is_lowest ? "lowest" : "highest") +
            " that was tried: a better one may lie beyond; with more sweep.rates the same command " + "goes on");
  }
}

}  // namespace

void SweepConfig::describe(ConfigFields& fields) {
  PretrainConfig::describe(fields);
  fields.add("sweep.widths", &widths, "widths, multiples of that of model.config; none: 1, 2 and 4 times that")
      .between(1, kMostWidth);
  fields.add("sweep.rates", &rates, "learning rates; none: 1/8, 1/4, ..., 8 times optimizer.lr").at_least(0);
  fields.add("sweep.seeds", &seeds, "runs of each width and rate, averaged: train.seed and the seeds after it")
      .between(1, 1000);
  fields.add("sweep.mup", &mup, "muP with model.config as the base; false: without, to see the best rate move");
}

Result<Sweep> sweep(const SweepConfig& config, const SweepHooks& hooks) {
  PHIAL_TRY(const SweepPlan plan, plan_of(config));
  for (const int64_t width : plan.widths) PHIAL_CHECKED(write_width(plan, width));
  Sweep sweep = {.mup = plan.mup, .held_out = !config.held_out.empty(), .steps = config.steps, .rates = plan.rates};
  PHIAL_TRY(sweep.widths, widths_swept(plan, hooks));
  const auto narrow = sweep.widths.front().best, wide = sweep.widths.back().best;
  if (narrow && wide) sweep.shift = std::log2(sweep.rates[*wide] / sweep.rates[*narrow]);
  warn_of_edges(sweep, hooks.log);
  PHIAL_CHECKED(write_json_file(plan.out / "sweep.json", sweep_json(sweep)));
  PHIAL_CHECKED(write_sweep_page(sweep, plan.out / "sweep.html", place_of(plan.out).filename().string()));
  return sweep;
}

}  // namespace phial::train
