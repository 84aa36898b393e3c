// One run of a sweep, in a folder of its own: made, judged, and its loss kept in result.json in place of its weights.
//
// Errors: those of pretrain(), but for a run that diverges; kInvalid for a folder that holds something else; kCorrupt.
#pragma once

#include "phial/base/result.h"
#include "phial/train/pretrain.h"

namespace phial::train {

// The loss on held-out data if the run has some, else the mean of the last tenth of the steps. Infinite: it diverged,
// which `hooks.log` is warned of under the name `named`. A run that has ended is not made again.
Result<double> loss_of_sweep_run(const PretrainConfig& config, const std::string& named, const RunHooks& hooks);

}  // namespace phial::train
