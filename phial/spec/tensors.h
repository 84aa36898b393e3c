// Every tensor of a decoder: what a Hugging Face folder calls it, its shape, and the part it plays.
//
// Training makes, groups and writes parameters from this list. How the runtime finds tensors, also under the names of
// other formats, is model/decoder_weights.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "phial/spec/spec.h"

namespace phial::spec {

enum class TensorRole {
  kEmbedding,
  kHead,  // only where the output matrix is not the embedding
  kNormGain,
  kBias,
  kQkv,  // Phi-3: q, k and v in one
  kQuery,
  kKey,
  kValue,
  kAttentionOutput,
  kGateUp,  // Phi-3: gate and up in one
  kGate,
  kUp,
  kDown,
  kVision,  // matrices and embeddings of what sees (vision_tensors.h)
};

// What multiplies vectors whose width grows with the model's, into others that do.
bool is_hidden_matrix(TensorRole role);

struct DecoderTensor {
  std::string name;  // "model.layers.0.mlp.down_proj.weight"
  TensorRole role = TensorRole::kBias;
  std::vector<int64_t> shape;  // [out, in], or [width]
};

// In the order of the network. Promise: the spec is valid and its architecture one that decoder_from_config() knows.
std::vector<DecoderTensor> decoder_tensors(const DecoderSpec& spec);

}  // namespace phial::spec
