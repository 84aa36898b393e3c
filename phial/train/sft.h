// Instruction tuning: conversations in, a model that answers in its chat format out.
//
// The loss is of what the assistant says and of the token that ends it, as the model's own chat template writes them;
// conversations are packed into rows and do not see each other. Whole weights or a low-rank adapter are trained.
// Source: Phi-3 technical report (arXiv 2404.14219), section 2; docs/training.md. No header of libtorch is needed.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "phial/base/result.h"
#include "phial/train/run_config.h"

namespace phial::train {

struct SftConfig : RunConfig {
  SftConfig() {
    lr = 2e-5;
    weight_decay = 0;
    beta2 = 0.999;
    epochs = 2;
  }

  std::vector<std::string> files, held_out;
  std::vector<double> weights;
  int64_t sequence_tokens = 1024;

  void describe(ConfigFields& fields);

 protected:
  // The data and what all stages have.
  void describe_data(ConfigFields& fields);
};

// Errors: those of train/run.h and train/chat_data.h. Threads: one run a process.
Result<RunSummary> sft(SftConfig config, const RunHooks& hooks);

}  // namespace phial::train
