// A longer context for a model that has a short one: rotary factors are searched for, the model is trained on rows that
// grow, among rows as it knew them, and what it finds in long texts is measured before and after.
//
// In run.out, beside what every run leaves: rope_search.json (train/rope_search.h), extension.json and extension.html
// (train/extension_report.h). The model's config.json has LongRoPE's fields. Source: LongRoPE (arXiv 2402.13753); mixed
// windows, Phi-3 technical report (arXiv 2404.14219), section 2; docs/training.md. No header of libtorch is needed.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "phial/base/result.h"
#include "phial/train/run_config.h"

namespace phial::train {

struct ExtendConfig : RunConfig {
  ExtendConfig() {
    lr = 2e-5;
    rows = 1;
    steps = 600;
    warmup_steps = 20;
  }

  std::vector<std::string> shards, held_out;
  std::vector<double> lengths;
  double short_share = 0.5;
  int64_t population = 64, generations = 40, search_rows = 4;
  int64_t samples = 10, depths = 5, digits = 5;

  void describe(ConfigFields& fields);
};

// Errors: those of train/run.h, train/long_rope.h and train/rope_search.h; kInvalid where the held-out data has no
// document to search by. kCancelled at any time: the same command goes on with what was found and trained.
// Threads: one run a process.
Result<RunSummary> extend(ExtendConfig config, const RunHooks& hooks);

}  // namespace phial::train
