#include "phial/model/memory_plan.h"

#include <string>
#include <utility>

#include "phial/base/bytes_text.h"

namespace phial::model {

std::string MemoryPlan::text() const {
  return bytes_text(weights_bytes) + " of weights, " +
         (embedding_bytes > 0 ? bytes_text(embedding_bytes) + " of embeddings, " : "") + bytes_text(kv_bytes) +
         " of keys and values in " + name_of(kv_type) + " for " +
         (sessions > 1 ? std::to_string(sessions) + " times " : "") + std::to_string(context_tokens) + " tokens, " +
         bytes_text(scratch_bytes) + " of scratch" +
         (vision_bytes > 0 ? ", " + bytes_text(vision_bytes) + " of the image encoder" : "") +
         (logits_bytes > 0 ? ", " + bytes_text(logits_bytes) + " of logits" : "") + ": " + bytes_text(total_bytes()) +
         " in all, " + bytes_text(available_bytes) + " are free";
}

Status MemoryPlan::check(const std::filesystem::path& model, ContextIs said) const {
  if (fits()) return ok();
  std::string remedy;
  if (smaller_kv_that_fits) remedy = std::string("give --kv ") + name_of(*smaller_kv_that_fits);
  if (largest_context_that_fits > 0) {
    const std::string tokens = std::to_string(largest_context_that_fits);
    remedy += remedy.empty() ? "give " : ", or ";
    remedy += said == ContextIs::kFlag ? "--context " + tokens : "at most " + tokens + " tokens";
  }
  if (remedy.empty()) remedy = "take a smaller model or one with fewer bits a weight";
  return Error{Code::kOutOfMemory, "the model does not fit into memory, " + text(), std::move(remedy)}.in(
      model.string());
}

MemoryPlan make_plan(const spec::DecoderSpec& spec, const PlanInput& input, uint64_t available_bytes) {
  MemoryPlan plan;
  plan.weights_bytes = input.weights_bytes;
  plan.embedding_bytes = input.embedding_bytes;
  plan.scratch_bytes = input.scratch_bytes;
  plan.vision_bytes = input.vision_bytes;
  plan.available_bytes = available_bytes;
  plan.context_tokens = input.context_tokens;
  plan.kv_type = input.kv_type;
  plan.sessions = input.sessions;
  const auto kv_bytes = [&](int context, KvType type) {
    return static_cast<uint64_t>(input.sessions) * KvCache::bytes_for(spec, context, type);
  };
  plan.kv_bytes = kv_bytes(input.context_tokens, input.kv_type);
  const uint64_t row_of_logits = input.keeps_logits ? static_cast<uint64_t>(spec.vocab_size) * sizeof(float) : 0;
  const auto logits_bytes = [&](int context) { return static_cast<uint64_t>(context) * row_of_logits; };
  plan.logits_bytes = logits_bytes(input.context_tokens);
  // Bytes grow with the context, so the largest that fits is found by halving.
  int fits = 0, beyond = spec.context + 1;
  const uint64_t fixed = input.weights_bytes + input.embedding_bytes + input.scratch_bytes + input.vision_bytes;
  const auto fits_with = [&](int context, KvType type) {
    return fixed + kv_bytes(context, type) + logits_bytes(context) <= available_bytes;
  };
  while (beyond - fits > 1) {
    const int middle = fits + (beyond - fits) / 2;
    (fits_with(middle, input.kv_type) ? fits : beyond) = middle;
  }
  plan.largest_context_that_fits = fits;
  if (input.kv_type == KvType::kF32) return plan;  // exact has no choice
  for (const KvType type : {KvType::kQ8, KvType::kQ4}) {
    if (type > input.kv_type && !plan.smaller_kv_that_fits && fits_with(input.context_tokens, type)) {
      plan.smaller_kv_that_fits = type;
    }
  }
  return plan;
}

}  // namespace phial::model
