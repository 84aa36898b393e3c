// The metadata of a GGUF file with an eye <-> VisionSpec. Keys: those of llama.cpp's projector files; docs/formats.md.

#include <algorithm>
#include <string>
#include <vector>

#include "phial/base/utf8.h"
#include "phial/spec/fields.h"
#include "phial/spec/vision.h"

namespace phial::spec {
namespace {

constexpr const char* kProjectorWhere = "GGUF metadata of an image encoder";
// llama.cpp has no name for it: rows of 2 x 2 patches with separators (the HD transform), then two matrices.
constexpr const char* kProjectorType = "phi3_v";

Error not_phi3_vision(const std::string& found) {
  return Error{Code::kUnsupported, std::string(kProjectorWhere) + ": " + found,
               "convert the Hugging Face folder of a Phi-3-vision: 'phial models convert FOLDER OUT.gguf'"};
}

Status read_triple(const Fields& fields, const char* key, std::array<float, 3>& into) {
  PHIAL_TRY(const std::vector<float> list, fields.positive_list(key));
  if (list.size() != into.size()) return fields.wrong(key, "three numbers");
  std::ranges::copy(list, into.begin());
  return ok();
}

}  // namespace

bool is_projector(const Json& metadata) {
  const std::string* architecture = find_string(metadata, "general.architecture");
  return architecture != nullptr && *architecture == "clip";
}

Result<VisionSpec> vision_from_gguf(const Json& metadata, int output_dim) {
  const Fields clip(metadata, "clip.", kProjectorWhere);
  PHIAL_TRY(const std::string type, clip.text_or("projector_type", ""));
  if (type != kProjectorType) {
    return not_phi3_vision("'clip.projector_type' is " + in_quotes(type) + ", Phial runs '" + kProjectorType + "'");
  }
  PHIAL_TRY(const bool is_gelu, clip.flag_or("use_gelu", false));
  PHIAL_TRY(const bool is_silu, clip.flag_or("use_silu", false));
  if (is_gelu || is_silu) return not_phi3_vision("its activation is not the quick GELU");

  const Fields fields(metadata, "clip.vision.", kProjectorWhere);
  VisionSpec spec;
  spec.output_dim = output_dim;
  PHIAL_TRY(const int width, fields.count("projection_dim", 1, kMaxWidth));
  if (width != output_dim) {
    return Error{Code::kInvalid,
                 "an image encoder for models of width " + std::to_string(width) + ", this one's is " +
                     std::to_string(output_dim),
                 "name the one that belongs to the model"};
  }
  PHIAL_TRY(spec.image_side, fields.count("image_size", 1, kMaxWidth));
  PHIAL_TRY(spec.patch_side, fields.count("patch_size", 1, kMaxWidth));
  PHIAL_TRY(spec.n_layers, fields.count("block_count", 1, kMaxLayers));
  PHIAL_TRY(spec.hidden_dim, fields.count("embedding_length", 1, kMaxWidth));
  PHIAL_TRY(spec.ffn_dim, fields.count("feed_forward_length", 1, kMaxWidth));
  PHIAL_TRY(spec.n_heads, fields.count("attention.head_count", 1, kMaxHeads));
  PHIAL_TRY(spec.norm_eps, fields.positive("attention.layer_norm_epsilon"));
  PHIAL_TRY(spec.max_tiles, fields.count("preproc_max_tiles", 1, kMaxWidth));
  PHIAL_CHECKED(read_triple(fields, "image_mean", spec.mean));
  PHIAL_CHECKED(read_triple(fields, "image_std", spec.deviation));
  PHIAL_CHECKED(validate(spec));
  return spec;
}

Json gguf_of_vision(const VisionSpec& spec) {
  return {{"clip.has_vision_encoder", true},
          {"clip.projector_type", kProjectorType},
          {"clip.use_gelu", false},
          {"clip.vision.image_size", spec.image_side},
          {"clip.vision.patch_size", spec.patch_side},
          {"clip.vision.block_count", spec.n_layers},
          {"clip.vision.embedding_length", spec.hidden_dim},
          {"clip.vision.feed_forward_length", spec.ffn_dim},
          {"clip.vision.projection_dim", spec.output_dim},
          {"clip.vision.attention.head_count", spec.n_heads},
          {"clip.vision.attention.layer_norm_epsilon", spec.norm_eps},
          {"clip.vision.preproc_max_tiles", spec.max_tiles},
          {"clip.vision.image_mean", spec.mean},
          {"clip.vision.image_std", spec.deviation}};
}

}  // namespace phial::spec
