// Every tensor of Phi-3-vision's eye: what a Hugging Face folder calls it, its shape, and how it begins in a new model.
//
// Source of the names: the published checkpoint ("pre_layrnorm" is spelled so there); in GGUF llama.cpp's for CLIP and
// LLaVA's projector, and for the separators those it has for the same parts of other models. New weights are those of
// CLIP's own initialisation (arXiv 2103.00020, its published code); the projector's begin like a decoder's embedding,
// whose place its rows take.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "phial/spec/tensors.h"
#include "phial/spec/vision.h"

namespace phial::spec {

inline constexpr const char* kVisionPrefix = "model.vision_embed_tokens.";
inline constexpr const char* kClipPrefix = "model.vision_embed_tokens.img_processor.vision_model.";
// The decoder's embedding, under the name that it has in some folders of such models.
inline constexpr const char* kVisionWordEmbedding = "model.vision_embed_tokens.wte.weight";

std::string clip_layer_prefix(int layer);

enum class VisionPart { kEncoder, kProjector };  // the separators are the projector's

struct VisionTensor {
  std::string name;
  TensorRole role = TensorRole::kVision;
  VisionPart part = VisionPart::kEncoder;
  std::vector<int64_t> shape;
  double init_std = 0;  // gains begin at 1, whatever this says
};

// Of the layers that are run.
std::vector<VisionTensor> vision_tensors(const VisionSpec& spec);

// What a GGUF file with an eye calls the tensor that a Hugging Face folder calls `name`, one of vision_tensors().
// There shapes have no leading ones.
std::string gguf_vision_name(std::string_view name);

// Null: there is no tensor of this name.
using ShapeOf = std::function<const std::vector<uint64_t>*(const std::string& name)>;

// The spec of a checkpoint that sees (has_vision): the widths are those of its tensors, since the published
// configuration leaves them to the code of CLIP. `output_dim`: the decoder's width. kCorrupt, kUnsupported.
Result<VisionSpec> vision_of_tensors(const Json& config, const Json& preprocessor, int output_dim,
                                     const ShapeOf& shape_of);

}  // namespace phial::spec
