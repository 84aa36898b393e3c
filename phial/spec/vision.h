// The blueprint of Phi-3-vision's eye: a CLIP vision transformer, how a picture is cut into tiles for it, and the
// projector that turns its features into input rows of the decoder.
//
// Source: the published configuration of Phi-3-vision-128k-instruct; CLIP (arXiv 2103.00020); docs/sources.md.
#pragma once

#include <array>

#include "phial/base/json.h"
#include "phial/base/result.h"

namespace phial::spec {

struct VisionSpec {
  int image_side = 0, patch_side = 0;  // pixels of a tile's side, and of a patch's
  int n_layers = 0;                    // that are run; the feature is what comes out of the last of them
  int hidden_dim = 0, ffn_dim = 0;
  int n_heads = 0;
  int output_dim = 0;  // width of the decoder
  float norm_eps = 1e-5F;
  int max_tiles = 16;  // of one picture, the view of the whole not counted; a very long one has a few more
  std::array<float, 3> mean{}, deviation{};  // of red, green, blue, in 0 to 1

  int patches() const { return image_side / patch_side; }  // a side
  int tokens() const { return patches() / 2; }             // a side: 2 x 2 patches make one
};

// What the configurations say; the widths are what the weights say (vision_of_tensors).
struct VisionFacts {
  int n_heads = 0;       // 0: not said, heads of 64
  int layer_index = -2;  // which hidden state is the feature: 0 is the embedding, -1 the last layer's output
  float norm_eps = 1e-5F;
  int max_tiles = 16;
  std::array<float, 3> mean{}, deviation{};
};

// Whether config.json is that of a model that sees.
bool has_vision(const Json& config);
// `preprocessor`: preprocessor_config.json, or null where there is none. kUnsupported for what would change the
// arithmetic and is not done here.
Result<VisionFacts> vision_from_config(const Json& config, const Json& preprocessor);

// What of it does not need the widths. `output_dim`: the decoder's width.
VisionSpec vision_of_facts(const VisionFacts& facts, int output_dim);
// Of an encoder of so many layers; below 0 or more than `layers`: there is no such hidden state.
int layers_to_run(int layer_index, int layers);

// The spec that config.json alone tells, for a model that has no weights yet: one whose "vision_config" names every
// size. kCorrupt for sizes that are missing or make no sense, kUnsupported.
Result<VisionSpec> vision_of_config(const Json& config, const Json& preprocessor, int output_dim);

// `config`, of the decoder alone or of a model that sees, as that of a model with this eye and these layers of it.
Json config_with_vision(Json config, const VisionSpec& spec);
// preprocessor_config.json.
Json preprocessor_of(const VisionSpec& spec);

// A GGUF file that holds an eye by itself, beside that of the decoder: llama.cpp's "mmproj" (docs/formats.md).
bool is_projector(const Json& metadata);
// `output_dim`: the decoder's width. kCorrupt, kUnsupported for other projectors than Phi-3-vision's, kInvalid for an
// eye of a decoder of another width.
Result<VisionSpec> vision_from_gguf(const Json& metadata, int output_dim);
// The entries of such a file, without those that every GGUF file has.
Json gguf_of_vision(const VisionSpec& spec);

Status validate(const VisionSpec& spec);

}  // namespace phial::spec
