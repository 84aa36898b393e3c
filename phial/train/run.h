// The loop that all stages of training share: steps, the schedule, snapshots, metrics, the model at the end.
//
// Threads: one run a process.
#pragma once

#include <functional>
#include <optional>

#include "phial/base/result.h"
#include "phial/spec/mup.h"
#include "phial/train/run_config.h"
#include "phial/train/stage.h"
#include "phial/train/start_model.h"

namespace phial::train {

struct Run {
  const RunConfig& config;
  ConfigFields& fields;
  StartModel model;
  std::optional<spec::MupBase> mup_base = {};
  std::vector<Parameter> parameters;
  Stage& stage;
  Json data;  // what the files that the fields name hold: a run goes on only with the same
};

// Errors: kInvalid for a configuration that makes no sense or is not the one this run began with, kCorrupt and
// kNotFound for files, kOutOfRange after too many steps in a row without a finite loss, kCancelled when stopped; the
// run then goes on from there the next time.
Result<RunSummary> run(Run run, const RunHooks& hooks);

// A stage's own door: `body` with libtorch's threads set, and what libtorch throws as an error. kInvalid if the
// configuration names no run.out.
Result<RunSummary> with_torch(const RunConfig& config, const std::function<Result<RunSummary>()>& body);

}  // namespace phial::train
