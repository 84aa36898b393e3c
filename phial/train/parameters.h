// The trained tensors of a decoder, by the names and in the shapes of a Hugging Face folder.
//
// Values are f32 leaves of autograd ("master weights"); with bf16 the network casts them as it goes. Threads: one.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "phial/base/random.h"
#include "phial/base/result.h"
#include "phial/formats/checkpoint.h"
#include "phial/spec/mup.h"
#include "phial/spec/spec.h"
#include "phial/spec/tensors.h"
#include "phial/spec/vision.h"
#include "phial/train/torch.h"

namespace phial::train {

struct Parameter {
  std::string name;
  spec::TensorRole role = spec::TensorRole::kBias;
  at::Tensor value;
  double rate = 1;  // multiplies the learning rate, beside what its role asks for
};

// Every tensor has a stream of its own: what one is does not depend on which others there are.
Random random_of(uint64_t seed, std::string_view name);

// Drawn from normal distributions.
std::vector<Parameter> new_parameters(const spec::DecoderSpec& spec, const std::optional<spec::MupBase>& base,
                                      const spec::InitRule& init, uint64_t seed);

// Of all values, in their order.
uint64_t hash_of(const std::vector<Parameter>& parameters);

// From a Hugging Face folder; F32, F16, BF16. kCorrupt names a tensor that is missing or has another shape.
Result<std::vector<Parameter>> load_parameters(const formats::Checkpoint& checkpoint, const spec::DecoderSpec& spec);

// The same for what sees.
std::vector<Parameter> new_vision_parameters(const spec::VisionSpec& spec, uint64_t seed);
Result<std::vector<Parameter>> load_vision_parameters(const formats::Checkpoint& checkpoint,
                                                      const spec::VisionSpec& spec);
// Of the parameters that the two above make.
void set_vision_rates(const spec::VisionSpec& spec, double encoder, double projector, std::span<Parameter> seeing);

}  // namespace phial::train
