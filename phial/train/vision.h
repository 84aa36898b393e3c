// Learning to see: conversations with pictures, and without, in; a model that `phial see` asks about pictures out.
//
// The image encoder, the projector and the decoder are trained together on what the assistant says, each at its own
// rate or not at all. The run begins with a model that sees, with a language model that gets a new eye, or with
// neither. Source: Phi-3 technical report (arXiv 2404.14219), section 5 on Phi-3-Vision; docs/training.md. No header of
// libtorch is needed.
#pragma once

#include <cstdint>
#include <string>

#include "phial/base/result.h"
#include "phial/train/sft.h"

namespace phial::train {

struct VisionConfig : SftConfig {
  std::string model_config;
  int64_t image_side = 0, patch_side = 0, layers = 0, hidden_dim = 0, ffn_dim = 0, heads = 0, max_tiles = 0;
  double sigma = 0.02;
  double decoder_rate = 1;

  void describe(ConfigFields& fields);
};

// Errors: those of train/run.h and train/chat_data.h. Threads: one run a process.
Result<RunSummary> train_vision(VisionConfig config, const RunHooks& hooks);

}  // namespace phial::train
