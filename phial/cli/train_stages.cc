#include <array>
#include <cstdio>

#include "phial/base/decimal.h"
#include "phial/base/json.h"
#include "phial/cli/launcher.h"
#include "phial/cli/train_configuration.h"
#include "phial/cli/train_verbs.h"
#include "phial/train/dpo.h"
#include "phial/train/extend.h"
#include "phial/train/pretrain.h"
#include "phial/train/sft.h"
#include "phial/train/vision.h"

namespace phial::cli {
namespace {

// "1:02:03"
std::string clock_text(double seconds) {
  const auto whole = static_cast<long long>(seconds);
  std::array<char, 48> text;
  const int length =
      std::snprintf(text.data(), text.size(), "%lld:%02lld:%02lld", whole / 3600, whole / 60 % 60, whole % 60);
  return {text.data(), static_cast<size_t>(length)};
}

// ", held_out_loss 1.2345"
std::string metrics_text(const train::Metrics& metrics) {
  std::string text;
  for (const auto& [name, value] : metrics) text += ", " + name + " " + decimal("%.4f", value);
  return text;
}

// A stage that a TOML file describes.
template <typename Config, Result<train::RunSummary> (*run_stage)(Config, const train::RunHooks&)>
struct TrainStage : Command {
  ConfigurationFlags configuration;
  bool json = false;

  void describe(Flags& flags) override {
    configuration.describe(flags);
    flags.add("--json", json,
              "one JSON object at the end: model, steps, tokens, parameters, loss, and what the stage measures");
  }

  Status check() override { return configuration.check(); }

  Status run(Console& console) override {
    Config config;
    PHIAL_TRY(const bool is_given, configuration.read(config, console));
    if (!is_given) return ok();
    PHIAL_TRY(config.world, world_of_environment());
    const bool is_first = config.world.rank == 0;  // who speaks for all
    train::RunHooks hooks = {.stop = console.stopped()};
    if (is_first) {
      hooks.log = console.log();
      hooks.report = [&](const train::StepReport& report) { tell(report, console); };
      hooks.prepares = [&](std::string_view what, int64_t done, int64_t of) {
        console.progress(std::string(what) + ": " + std::to_string(done) + " of " + std::to_string(of));
      };
    }
    PHIAL_TRY(const train::RunSummary summary, run_stage(config, hooks));
    if (!is_first) return ok();
    console.clear_progress();
    if (json) {
      Json object = {{"model", summary.model.string()},
                     {"steps", summary.steps},
                     {"tokens", summary.tokens},
                     {"parameters", summary.parameters},
                     {"loss", summary.loss}};
      for (const auto& [name, value] : summary.metrics) object[name] = value;
      console.write(dump_json(object) + "\n");
    } else {
      console.write(shown_path(summary.model.string()) + ": " + std::to_string(summary.parameters) +
                    " parameters after " + std::to_string(summary.tokens) + " tokens, loss " +
                    decimal("%.4f", summary.loss) +
                    (summary.table.empty() ? metrics_text(summary.metrics) + "\n" : "\n" + summary.table));
    }
    return ok();
  }

  static void tell(const train::StepReport& report, Console& console) {
    if (!console.shows_progress()) return;
    console.progress("train: step " + std::to_string(report.step) + " of " + std::to_string(report.steps) + ", loss " +
                     decimal("%.4f", report.loss) + ", " + decimal("%.0f", report.tokens_per_second) + " tokens/s, " +
                     decimal("%.0f%% MFU, ", 100 * report.utilization) + clock_text(report.seconds_left) + " left");
  }
};

}  // namespace

std::unique_ptr<Command> make_pretrain() {
  return std::make_unique<TrainStage<train::PretrainConfig, train::pretrain>>();
}
std::unique_ptr<Command> make_sft() { return std::make_unique<TrainStage<train::SftConfig, train::sft>>(); }
std::unique_ptr<Command> make_dpo() { return std::make_unique<TrainStage<train::DpoConfig, train::dpo>>(); }
std::unique_ptr<Command> make_train_vision() {
  return std::make_unique<TrainStage<train::VisionConfig, train::train_vision>>();
}
std::unique_ptr<Command> make_extend() { return std::make_unique<TrainStage<train::ExtendConfig, train::extend>>(); }

}  // namespace phial::cli
