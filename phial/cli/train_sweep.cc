#include <cmath>

#include "phial/base/decimal.h"
#include "phial/base/json.h"
#include "phial/cli/launcher.h"
#include "phial/cli/train_configuration.h"
#include "phial/cli/train_verbs.h"
#include "phial/train/sweep.h"
#include "phial/train/sweep_report.h"

namespace phial::cli {
namespace {

struct SweepCommand : Command {
  ConfigurationFlags configuration;
  bool json = false;

  void describe(Flags& flags) override {
    configuration.describe(flags);
    flags.add("--json", json, "one JSON object at the end: mup, measure, steps, rates, widths, shift");
  }

  Status check() override { return configuration.check(); }

  Status run(Console& console) override {
    PHIAL_CHECKED(check_is_alone());
    train::SweepConfig config;
    PHIAL_TRY(const bool is_given, configuration.read(config, console));
    if (!is_given) return ok();
    const train::SweepHooks hooks = {
        .log = console.log(),
        .report = [&](const train::SweepRun& run, const train::StepReport& step) { tell(run, step, console); },
        .stop = console.stopped()};
    PHIAL_TRY(const train::Sweep sweep, train::sweep(config, hooks));
    console.clear_progress();
    console.write(json ? dump_json(train::sweep_json(sweep)) + "\n"
                       : as_table(sweep) + train::sweep_words(sweep) + "\n");
    console.note("the page is " + shown_path(config.out + "/sweep.html"));
    return ok();
  }

  static void tell(const train::SweepRun& run, const train::StepReport& step, Console& console) {
    if (!console.shows_progress()) return;
    console.progress("sweep: run " + std::to_string(run.number) + " of " + std::to_string(run.runs) + ", width " +
                     std::to_string(run.width) + ", lr " + decimal("%.3g", run.rate) + ", step " +
                     std::to_string(step.step) + " of " + std::to_string(step.steps));
  }

  // A line a width; the best is marked.
  static std::string as_table(const train::Sweep& sweep) {
    std::string out = "width";
    for (const double rate : sweep.rates) out += decimal("%11.3g", rate);
    out += "\n";
    for (const train::SweepWidth& swept : sweep.widths) {
      out += decimal("%5.0f", static_cast<double>(swept.width));
      for (size_t i = 0; i < swept.losses.size(); ++i) {
        const double loss = swept.losses[i];
        out += std::isfinite(loss) ? decimal("%10.4f", loss) + (swept.best == i ? "*" : " ") : "  diverges ";
      }
      out += "\n";
    }
    return out;
  }
};

}  // namespace

std::unique_ptr<Command> make_sweep() { return std::make_unique<SweepCommand>(); }

}  // namespace phial::cli
