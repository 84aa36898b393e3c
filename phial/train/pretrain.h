// Pretraining: token shards in, a Hugging Face folder out. No header of libtorch is needed to call it.
//
// In `run.out`: config.toml (every field as it was), metrics.jsonl (a line a step), snapshots/ and, at the end, model/.
// A run whose folder has a snapshot goes on from it, with the bits that it would have had without the pause. Source:
// Phi-3 technical report (arXiv 2404.14219), section 2; docs/training.md.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include "phial/base/log.h"
#include "phial/base/result.h"
#include "phial/train/config.h"

namespace phial::train {

struct PretrainConfig {
  std::string model_config, model_start;

  int64_t base_hidden_dim = 0, base_ffn_dim = 0, base_n_heads = 0, base_head_dim = 0;
  double attention_constant = 0, embedding_multiplier = 0;

  double sigma = 0.02;
  bool by_depth = true, zero_head = false, zero_query = false;

  std::vector<std::string> shards;
  int64_t sequence_tokens = 512;
  int64_t rows = 8, accumulate = 1;

  double lr = 1e-3, beta1 = 0.9, beta2 = 0.95, epsilon = 1e-8, weight_decay = 0.1, clip = 1, z_loss = 0;
  std::string schedule = "cosine", decay_shape = "one_minus_sqrt";
  int64_t warmup_steps = 100, decay_steps = 0;
  double final_share = 0.1;

  int64_t steps = 1000, seed = 0, threads = 0, max_skipped = 5;
  std::string compute = "f32", save_as = "f32";
  bool recompute_layers = false;

  std::string out;
  int64_t snapshot_every = 200, keep = 3;

  void describe(ConfigFields& fields);
};

struct StepReport {
  int64_t step = 0, steps = 0;  // done, of
  double loss = 0;              // mean negative log-likelihood of the step's targets
  double gradient_norm = 0, rate = 0;
  double tokens_per_second = 0, seconds_left = 0;
  bool was_skipped = false;
};

struct RunHooks {
  Log log = no_log;
  std::function<void(const StepReport&)> report = [](const StepReport&) {};
  std::stop_token stop = {};
};

struct RunSummary {
  int64_t steps = 0;
  uint64_t tokens = 0, parameters = 0;
  double loss = 0;              // of the last step
  std::filesystem::path model;  // the folder written
};

// Errors: kInvalid for a configuration that makes no sense or is not the one this run began with, kCorrupt and
// kNotFound for files, kOutOfRange after too many steps in a row without a finite loss, kCancelled when stopped; the
// run then goes on from there the next time. Threads: one run a process.
Result<RunSummary> pretrain(PretrainConfig config, const RunHooks& hooks);

}  // namespace phial::train
