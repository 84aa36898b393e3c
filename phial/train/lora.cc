#include "phial/train/lora.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "phial/base/json_writer.h"
#include "phial/base/output_file.h"
#include "phial/base/random.h"
#include "phial/formats/safetensors_writer.h"
#include "phial/spec/tensors.h"
#include "phial/train/stored_tensor.h"

namespace phial::train {
namespace {

constexpr std::string_view kPrefix = "base_model.model.";
constexpr std::string_view kWeight = ".weight";

// "model.layers.0.mlp.down_proj.lora_A.weight" of a model -> "down_proj"
std::string module_of(std::string_view name) {
  const std::string_view owner = name.substr(0, name.rfind(".lora_"));
  return std::string(owner.substr(owner.rfind('.') + 1));
}

}  // namespace

std::string lora_name(std::string_view tensor, char half) {
  std::string name(kPrefix);
  name += tensor.substr(0, tensor.size() - kWeight.size());
  return name + ".lora_" + half + std::string(kWeight);
}

std::vector<Parameter> new_adapter(const spec::DecoderSpec& spec, const LoraOptions& options, uint64_t seed) {
  std::vector<Parameter> adapter;
  for (const spec::DecoderTensor& tensor : spec::decoder_tensors(spec)) {
    if (!is_hidden_matrix(tensor.role)) continue;
    const int64_t out = tensor.shape[0], in = tensor.shape[1];
    at::Tensor a = at::empty({options.rank, in}, at::kFloat);
    const std::string name = lora_name(tensor.name, 'A');
    // Uniform within the root of the inputs, as PEFT and the paper's own code have it.
    Random random = random_of(seed, name);
    const double bound = 1 / std::sqrt(static_cast<double>(in));
    for (float& value : std::span(a.data_ptr<float>(), static_cast<size_t>(a.numel()))) {
      value = static_cast<float>(bound * (2 * random.uniform() - 1));
    }
    adapter.push_back({name, tensor.role, a.requires_grad_()});
    adapter.push_back(
        {lora_name(tensor.name, 'B'), tensor.role, at::zeros({out, options.rank}, at::kFloat).requires_grad_()});
  }
  return adapter;
}

void merge(const std::vector<Parameter>& adapter, const LoraOptions& options, std::vector<Parameter>& parameters) {
  const at::NoGradGuard no_grad;
  for (Parameter& parameter : parameters) {
    const auto a = std::ranges::find(adapter, lora_name(parameter.name, 'A'), &Parameter::name);
    if (a != adapter.end()) parameter.value.addmm_((a + 1)->value, a->value, 1, options.scale());  // B follows A
  }
}

Status write_adapter(const std::filesystem::path& folder, const std::vector<Parameter>& adapter,
                     const LoraOptions& options, const std::string& base) {
  std::set<std::string> modules;
  StoredTensors tensors;
  for (const Parameter& parameter : adapter) {
    modules.insert(module_of(parameter.name));
    tensors.add(parameter.name, parameter.value);
  }
  const Json config = {{"peft_type", "LORA"}, {"task_type", "CAUSAL_LM"},    {"base_model_name_or_path", base},
                       {"r", options.rank},   {"lora_alpha", options.alpha}, {"target_modules", modules},
                       {"bias", "none"},      {"fan_in_fan_out", false},     {"inference_mode", true}};
  return write_beside(folder, [&](const std::filesystem::path& partial) -> Status {
    PHIAL_CHECKED(make_folders(partial));
    PHIAL_CHECKED(formats::write_safetensors(partial / "adapter_model.safetensors", tensors.tensors(), {}));
    return write_json_file(partial / "adapter_config.json", config, 2);
  });
}

}  // namespace phial::train
