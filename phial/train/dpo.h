// Direct preference optimization: pairs of a chosen and a rejected answer in, a model that prefers the chosen out.
//
// The reference is the model that the run begins with; its log-probabilities are computed once, before the first step,
// and kept in the run's folder, so that one model is in memory. Source: DPO (arXiv 2305.18290); Phi-3 technical report
// (2404.14219), section 2; docs/training.md. No header of libtorch is needed.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "phial/base/result.h"
#include "phial/train/run_config.h"

namespace phial::train {

struct DpoConfig : RunConfig {
  DpoConfig() {
    lr = 1e-6;
    weight_decay = 0;
    beta2 = 0.999;
    warmup_share = 0.1;
  }

  std::vector<std::string> files, held_out;
  int64_t sequence_tokens = 1024;
  std::string loss = "sigmoid";
  double beta = 0.1, label_smoothing = 0;
  bool measure_kl = false;

  void describe(ConfigFields& fields);
};

// Errors: those of train/run.h and train/chat_data.h. Threads: one run a process.
Result<RunSummary> dpo(DpoConfig config, const RunHooks& hooks);

}  // namespace phial::train
