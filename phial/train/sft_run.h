// What instruction tuning and learning to see share: a run over conversations.
#pragma once

#include <vector>

#include "phial/train/run.h"
#include "phial/train/sft.h"

namespace phial::train {

// `fields` are bound to `config`, whose steps it sets.
Result<RunSummary> run_on_conversations(SftConfig& config, ConfigFields& fields, StartModel model,
                                        std::vector<Parameter> parameters, const RunHooks& hooks);

}  // namespace phial::train
