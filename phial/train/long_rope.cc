#include "phial/train/long_rope.h"

#include <string>
#include <vector>

namespace phial::train {
namespace {

Json base_and_share(const Json& rope) {
  Json kept = Json::object();
  for (const char* name : {"rope_theta", "partial_rotary_factor"}) {
    if (const Json* value = find_member(rope, name)) kept[name] = *value;
  }
  return kept;
}

}  // namespace

Status check_can_grow(const spec::DecoderSpec& spec) {
  if (spec.architecture != "phi3") {
    return Error{Code::kUnsupported, "the context of " + spec.architecture + " models is not extended",
                 "begin with a model of the Phi-3 family"};
  }
  if (spec.long_rope.active() || !spec.rope_divisors.empty()) {
    return Error{Code::kUnsupported, "the model has rotary scaling already: its context was extended before",
                 "begin with the model that it was made of"};
  }
  return ok();
}

Status check_window(const spec::DecoderSpec& spec, int64_t target) {
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
    rope.update(base_and_share(*newer));
    config["rope_parameters"] = std::move(rope);
  } else {  // three members and no other: older releases of transformers insist on it
    if (const Json* older = find_member(config, "rope_scaling")) config.update(base_and_share(*older));
    rope["type"] = "longrope";
    config["rope_scaling"] = std::move(rope);
  }
  return config;
}

}  // namespace phial::train
