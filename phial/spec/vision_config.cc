// config.json and preprocessor_config.json of Phi3VForCausalLM -> VisionFacts.

#include <algorithm>
#include <string>
#include <string_view>

#include "phial/base/utf8.h"
#include "phial/spec/fields.h"
#include "phial/spec/vision.h"

namespace phial::spec {
namespace {

constexpr const char* kWhere = "config.json";
constexpr int kMostTiles = 64;  // four times what is published

const Json& object_at(const Json& config, std::string_view key) {
  static const Json kNone = Json::object();
  const Json* found = find_member(config, key);
  return found != nullptr && found->is_object() ? *found : kNone;
}

// The published file names OpenAI's model, whose sizes its code knows; others write them out as "vision_config" or
// under a longer name that begins so.
const Json& clip_config(const Json& config) {
  if (config.is_object()) {
    for (const auto& [key, value] : config.items()) {
      if (std::string_view(key).starts_with("vision_config") && value.is_object()) return value;
    }
  }
  return object_at(config, "img_processor");
}

Status must_be(const Fields& fields, const char* key, const char* wanted) {
  PHIAL_TRY(const std::string found, fields.text_or(key, wanted));
  if (found == wanted) return ok();
  return Error{Code::kUnsupported,
               std::string(kWhere) + ": '" + key + "' is " + in_quotes(found) + ", Phial runs '" + wanted + "'",
               "use a model of the layout of Phi-3-vision"};
}

Status must_be_true(const Fields& fields, const char* key) {
  PHIAL_TRY(const bool found, fields.flag_or(key, true));
  if (found) return ok();
  return Error{Code::kUnsupported, std::string(kWhere) + ": '" + key + "' is false, which is not supported",
               "use a model of the layout of Phi-3-vision"};
}

Status refuse_other_layouts(const Fields& clip, const Fields& processor, const Fields& embedding) {
  PHIAL_CHECKED(must_be(clip, "hidden_act", "quick_gelu"));
  PHIAL_CHECKED(must_be(processor, "name", "clip_vision_model"));
  PHIAL_CHECKED(must_be(processor, "type_feature", "patch"));
  PHIAL_CHECKED(must_be(embedding, "hd_transform_order", "sub_glb"));
  PHIAL_CHECKED(must_be(embedding, "projection_cls", "mlp"));
  PHIAL_CHECKED(must_be_true(embedding, "use_hd_transform"));
  return must_be_true(embedding, "with_learnable_separator");
}

Status read_colours(const Fields& fields, const char* key, std::array<float, 3>& into) {
  if (!fields.has(key)) return ok();
  PHIAL_TRY(const std::vector<float> list, fields.positive_list(key));
  if (list.size() != into.size()) return fields.wrong(key, "three numbers");
  std::ranges::copy(list, into.begin());
  return ok();
}

Status in_range(const char* what, int value, int low, int high) {
  if (value >= low && value <= high) return ok();
  return Error{Code::kCorrupt,
               "the vision encoder has " + std::to_string(value) + " " + what + ", wanted " + std::to_string(low) +
                   " to " + std::to_string(high),
               "download the model again"};
}

}  // namespace

bool has_vision(const Json& config) {
  if (const std::string* type = find_string(config, "model_type")) return *type == "phi3_v";
  const Json* list = find_member(config, "architectures");
  return list != nullptr && list->is_array() && !list->empty() && list->front() == "Phi3VForCausalLM";
}

Result<VisionFacts> vision_from_config(const Json& config, const Json& preprocessor) {
  const Fields clip(clip_config(config), "", std::string(kWhere) + ", vision encoder");
  const Fields processor(object_at(config, "img_processor"), "", std::string(kWhere) + ", img_processor");
  const Fields embedding(object_at(config, "embd_layer"), "", std::string(kWhere) + ", embd_layer");
  PHIAL_CHECKED(refuse_other_layouts(clip, processor, embedding));

  VisionFacts facts;
  facts.mean = {0.48145466F, 0.4578275F, 0.40821073F};  // of CLIP's training pictures
  facts.deviation = {0.26862954F, 0.26130258F, 0.27577711F};
  if (clip.has("num_attention_heads")) {
    PHIAL_TRY(facts.n_heads, clip.count("num_attention_heads", 1, kMaxHeads));
  }
  PHIAL_TRY(facts.norm_eps, clip.positive_or("layer_norm_eps", facts.norm_eps));
  PHIAL_TRY(facts.layer_index, processor.count_or("layer_idx", facts.layer_index, -kMaxLayers, kMaxLayers));
  const Fields pixels(preprocessor, "", "preprocessor_config.json");
  PHIAL_TRY(facts.max_tiles, pixels.count_or("num_crops", facts.max_tiles, 1, kMostTiles));
  PHIAL_CHECKED(read_colours(pixels, "image_mean", facts.mean));
  PHIAL_CHECKED(read_colours(pixels, "image_std", facts.deviation));
  return facts;
}

VisionSpec vision_of_facts(const VisionFacts& facts, int output_dim) {
  VisionSpec spec;
  spec.output_dim = output_dim;
  spec.norm_eps = facts.norm_eps;
  spec.max_tiles = facts.max_tiles;
  spec.mean = facts.mean;
  spec.deviation = facts.deviation;
  return spec;
}

int layers_to_run(int layer_index, int layers) { return layer_index < 0 ? layers + 1 + layer_index : layer_index; }

Result<VisionSpec> vision_of_config(const Json& config, const Json& preprocessor, int output_dim) {
  PHIAL_TRY(const VisionFacts facts, vision_from_config(config, preprocessor));
  VisionSpec spec = vision_of_facts(facts, output_dim);
  const Fields clip(clip_config(config), "", std::string(kWhere) + ", vision encoder");
  PHIAL_TRY(spec.image_side, clip.count("image_size", 1, kMaxWidth));
  PHIAL_TRY(spec.patch_side, clip.count("patch_size", 1, kMaxWidth));
  PHIAL_TRY(spec.hidden_dim, clip.count("hidden_size", 1, kMaxWidth));
  PHIAL_TRY(spec.ffn_dim, clip.count("intermediate_size", 1, kMaxWidth));
  PHIAL_TRY(spec.n_heads, clip.count("num_attention_heads", 1, kMaxHeads));
  PHIAL_TRY(const int layers, clip.count("num_hidden_layers", 1, kMaxLayers));
  spec.n_layers = layers_to_run(facts.layer_index, layers);
  PHIAL_CHECKED(in_range("layers to run", spec.n_layers, 1, layers));
  PHIAL_CHECKED(validate(spec));
  return spec;
}

Json config_with_vision(Json config, const VisionSpec& spec) {
  config["architectures"] = {"Phi3VForCausalLM"};
  config["model_type"] = "phi3_v";
  config["embd_layer"] = {{"embedding_cls", "image"},
                          {"hd_transform_order", "sub_glb"},
                          {"projection_cls", "mlp"},
                          {"use_hd_transform", true},
                          {"with_learnable_separator", true}};
  // Counted from the front: the same hidden state where the code knows how many layers CLIP has, and stores more.
  config["img_processor"] = {{"image_dim_out", spec.hidden_dim},
                             {"layer_idx", spec.n_layers},
                             {"model_name", "openai/clip-vit-large-patch14-336"},
                             {"name", "clip_vision_model"},
                             {"num_img_tokens", spec.tokens() * spec.tokens()},
                             {"type_feature", "patch"}};
  std::erase_if(config.get_ref<Json::object_t&>(),
                [](const auto& entry) { return std::string_view(entry.first).starts_with("vision_config"); });
  config["vision_config"] = {{"hidden_act", "quick_gelu"},
                             {"hidden_size", spec.hidden_dim},
                             {"image_size", spec.image_side},
                             {"intermediate_size", spec.ffn_dim},
                             {"layer_norm_eps", spec.norm_eps},
                             {"num_attention_heads", spec.n_heads},
                             {"num_channels", 3},
                             {"num_hidden_layers", spec.n_layers},
                             {"patch_size", spec.patch_side}};
  return config;
}

Json preprocessor_of(const VisionSpec& spec) {
  return {{"do_convert_rgb", true},
          {"image_mean", spec.mean},
          {"image_processor_type", "Phi3VImageProcessor"},
          {"image_std", spec.deviation},
          {"num_crops", spec.max_tiles},
          {"num_img_tokens", spec.tokens() * spec.tokens()},
          {"processor_class", "Phi3VProcessor"}};
}

Status validate(const VisionSpec& spec) {
  constexpr int kMostSide = 4096;
  PHIAL_CHECKED(in_range("layers to run", spec.n_layers, 1, kMaxLayers));
  PHIAL_CHECKED(in_range("hidden dimensions", spec.hidden_dim, 1, kMaxWidth / 4));
  PHIAL_CHECKED(in_range("feed-forward dimensions", spec.ffn_dim, 1, kMaxWidth));
  PHIAL_CHECKED(in_range("output dimensions", spec.output_dim, 1, kMaxWidth));
  PHIAL_CHECKED(in_range("heads", spec.n_heads, 1, kMaxHeads));
  PHIAL_CHECKED(in_range("pixels a patch", spec.patch_side, 1, kMostSide));
  PHIAL_CHECKED(in_range("pixels a tile", spec.image_side, 2 * spec.patch_side, kMostSide));
  PHIAL_CHECKED(in_range("tiles a picture", spec.max_tiles, 1, kMostTiles));
  if (spec.hidden_dim % spec.n_heads != 0) {
    return Error{Code::kCorrupt,
                 "the vision encoder has " + std::to_string(spec.n_heads) + " heads, which do not divide " +
                     std::to_string(spec.hidden_dim) + " hidden dimensions",
                 "download the model again"};
  }
  if (spec.image_side % spec.patch_side != 0 || spec.patches() % 2 != 0) {
    return Error{Code::kUnsupported,
                 "a tile of " + std::to_string(spec.image_side) + " pixels cannot be cut into pairs of patches of " +
                     std::to_string(spec.patch_side),
                 "use a model of the layout of Phi-3-vision"};
  }
  return ok();
}

}  // namespace phial::spec
