#include "phial/train/long_rope.h"

#include <string>
#include <vector>

namespace phial::train {

Status check_can_grow(const spec::DecoderSpec& spec, int64_t target) {
  if (spec.architecture != "phi3") {
    return Error{Code::kUnsupported, "the context of " + spec.architecture + " models is not extended",
                 "begin with a model of the Phi-3 family"};
  }
  if (spec.long_rope.active() || !spec.rope_divisors.empty()) {
    return Error{Code::kUnsupported, "the model has rotary scaling already: its context was extended before",
                 "begin with the model that it was made of"};
  }
  if (target <= spec.context) {
    return Error{Code::kInvalid,
                 "extend.lengths ends with " + std::to_string(target) + " tokens, and the model has a context of " +
                     std::to_string(spec.context),
                 "take more, up to 32 times as many"};
  }
  if (spec.sliding_window > 0 && spec.sliding_window < target) {
    return Error{Code::kInvalid,
                 "the model's sliding window of " + std::to_string(spec.sliding_window) +
                     " tokens would hide what is farther away",
                 "set sliding_window to null in its config.json"};
  }
  return ok();
}

Json with_long_rope(Json config, const spec::DecoderSpec& spec, int64_t target, std::span<const float> long_factors) {
  const std::vector<float> short_factors(long_factors.size(), 1);
  config["max_position_embeddings"] = target;
  config["original_max_position_embeddings"] = spec.context;
  Json rope = {{"short_factor", short_factors}, {"long_factor", std::vector(long_factors.begin(), long_factors.end())}};
  if (const Json* newer = find_member(config, "rope_parameters"); newer != nullptr && newer->is_object()) {
    rope["rope_type"] = "longrope";
    rope["original_max_position_embeddings"] = spec.context;
    config["rope_parameters"].update(rope);
    config["rope_parameters"].erase("type");
  } else {  // three members and no other: older releases of transformers insist on it
    rope["type"] = "longrope";
    config["rope_scaling"] = std::move(rope);
  }
  return config;
}

}  // namespace phial::train
