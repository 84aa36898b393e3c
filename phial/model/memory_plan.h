// What a model will take. Used inside model only.
#pragma once

#include <cstdint>

#include "phial/model/decoder.h"
#include "phial/model/kv_cache.h"
#include "phial/spec/spec.h"

namespace phial::model {

struct PlanInput {
  uint64_t weights_bytes = 0, embedding_bytes = 0, scratch_bytes = 0, vision_bytes = 0;
  KvType kv_type = KvType::kF16;
  int context_tokens = 0;
  int sessions = 1;
  bool keeps_logits = false;
};

MemoryPlan make_plan(const spec::DecoderSpec& spec, const PlanInput& input, uint64_t available_bytes);

}  // namespace phial::model
