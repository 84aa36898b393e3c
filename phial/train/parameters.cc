#include "phial/train/parameters.h"

#include <xxhash.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <span>

#include "phial/spec/vision_tensors.h"
#include "phial/tensor/blocks.h"

namespace phial::train {
namespace {

// Box and Muller (1958): two normal numbers of two uniform ones.
void fill_normal(std::span<float> values, double std, Random random) {
  for (size_t i = 0; i < values.size(); i += 2) {
    const double radius = std * std::sqrt(-2 * std::log(1 - random.uniform()));
    const double angle = 2 * std::numbers::pi * random.uniform();
    values[i] = static_cast<float>(radius * std::cos(angle));
    if (i + 1 < values.size()) values[i + 1] = static_cast<float>(radius * std::sin(angle));
  }
}

std::span<float> values_of(at::Tensor& tensor) {
  return {tensor.data_ptr<float>(), static_cast<size_t>(tensor.numel())};
}

Parameter new_parameter(const std::string& name, spec::TensorRole role, const std::vector<int64_t>& shape, double std,
                        uint64_t seed) {
  at::Tensor value = at::zeros(shape, at::kFloat);
  if (role == spec::TensorRole::kNormGain) {
    value.fill_(1);
  } else if (std > 0) {
    fill_normal(values_of(value), std, random_of(seed, name));
  }
  return {name, role, value.requires_grad_()};
}

Result<Parameter> load_parameter(const formats::Checkpoint& checkpoint, const std::string& name, spec::TensorRole role,
                                 const std::vector<int64_t>& wanted) {
  // In some folders of models that see the embedding has another name.
  const bool is_aliased = role == spec::TensorRole::kEmbedding && checkpoint.find(name) == nullptr &&
                          checkpoint.find(spec::kVisionWordEmbedding) != nullptr;
  PHIAL_TRY(const formats::Tensor* stored, checkpoint.need(is_aliased ? spec::kVisionWordEmbedding : name));
  const std::vector<uint64_t> shape(wanted.begin(), wanted.end());
  if (stored->shape != shape) {
    return Error{Code::kCorrupt,
                 checkpoint.path().string() + ": tensor '" + stored->name + "' is " +
                     formats::shape_text(stored->shape) + ", wanted " + formats::shape_text(shape),
                 "the file does not belong to its config.json: get it again"};
  }
  if (!tensor::is_weight_type(stored->dtype) || stored->int4) {
    return Error{Code::kUnsupported,
                 checkpoint.path().string() + ": tensor '" + stored->name + "' is stored as " +
                     std::string(tensor::info(stored->dtype).name) + ", which training does not start from",
                 "use a model in F32, F16 or BF16"};
  }
  at::Tensor value = at::empty(wanted, at::kFloat);
  tensor::decode_row(stored->dtype, stored->bytes.data(), 0, values_of(value));
  return Parameter{name, role, value.requires_grad_()};
}

}  // namespace

Random random_of(uint64_t seed, std::string_view name) {
  uint64_t hash = 0xcbf29ce484222325ULL;  // FNV-1a
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  return Random(seed ^ hash);
}

std::vector<Parameter> new_parameters(const spec::DecoderSpec& spec, const std::optional<spec::MupBase>& base,
                                      const spec::InitRule& init, uint64_t seed) {
  std::vector<Parameter> parameters;
  for (const spec::DecoderTensor& tensor : spec::decoder_tensors(spec)) {
    const double std = tensor_rule(spec, base, init, tensor.role).init_std;
    parameters.push_back(new_parameter(tensor.name, tensor.role, tensor.shape, std, seed));
  }
  return parameters;
}

uint64_t hash_of(const std::vector<Parameter>& parameters) {
  uint64_t hash = 0;
  for (const Parameter& parameter : parameters) {
    const at::Tensor here = parameter.value.detach().cpu();
    hash = XXH3_64bits_withSeed(here.const_data_ptr<float>(), here.nbytes(), hash);
  }
  return hash;
}

Result<std::vector<Parameter>> load_parameters(const formats::Checkpoint& checkpoint, const spec::DecoderSpec& spec) {
  std::vector<Parameter> parameters;
  for (const spec::DecoderTensor& wanted : spec::decoder_tensors(spec)) {
    PHIAL_TRY(Parameter loaded, load_parameter(checkpoint, wanted.name, wanted.role, wanted.shape));
    parameters.push_back(std::move(loaded));
  }
  return parameters;
}

std::vector<Parameter> new_vision_parameters(const spec::VisionSpec& spec, uint64_t seed) {
  std::vector<Parameter> parameters;
  for (const spec::VisionTensor& tensor : spec::vision_tensors(spec)) {
    parameters.push_back(new_parameter(tensor.name, tensor.role, tensor.shape, tensor.init_std, seed));
  }
  return parameters;
}

void set_vision_rates(const spec::VisionSpec& spec, double encoder, double projector, std::span<Parameter> seeing) {
  const auto tensors = spec::vision_tensors(spec);
  for (size_t i = 0; i < tensors.size(); ++i) {
    seeing[i].rate = tensors[i].part == spec::VisionPart::kEncoder ? encoder : projector;
  }
}

Result<std::vector<Parameter>> load_vision_parameters(const formats::Checkpoint& checkpoint,
                                                      const spec::VisionSpec& spec) {
  std::vector<Parameter> parameters;
  for (const spec::VisionTensor& wanted : spec::vision_tensors(spec)) {
    PHIAL_TRY(Parameter loaded, load_parameter(checkpoint, wanted.name, wanted.role, wanted.shape));
    parameters.push_back(std::move(loaded));
  }
  return parameters;
}

}  // namespace phial::train
