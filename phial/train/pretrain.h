// Pretraining: token shards in, a Hugging Face folder out. No header of libtorch is needed to call it.
//
// Source: Phi-3 technical report (arXiv 2404.14219), section 2; docs/training.md.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "phial/base/result.h"
#include "phial/train/run_config.h"

namespace phial::train {

struct PretrainConfig : RunConfig {
  std::string model_config;

  int64_t base_hidden_dim = 0, base_ffn_dim = 0, base_n_heads = 0, base_head_dim = 0;
  double attention_constant = 0, embedding_multiplier = 0;

  double sigma = 0.02;
  bool by_depth = true, zero_head = false, zero_query = false;

  std::vector<std::string> shards, held_out;
  int64_t sequence_tokens = 512;
  double z_loss = 0;

  void describe(ConfigFields& fields);
};

// Errors: those of train/run.h. Threads: one run a process.
Result<RunSummary> pretrain(PretrainConfig config, const RunHooks& hooks);

}  // namespace phial::train
