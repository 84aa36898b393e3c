#include "phial/formats/lora.h"

#include <cmath>
#include <optional>
#include <string_view>
#include <utility>

#include "phial/base/json_file.h"
#include "phial/base/utf8.h"
#include "phial/tensor/blocks.h"

namespace phial::formats {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPrefix = "base_model.model.";
constexpr const char* kMergeInPeft = "merge it with PEFT itself (merge_and_unload)";

Error unusable(const fs::path& file, const std::string& what, Code code = Code::kUnsupported) {
  return Error{code, file.string() + ": " + what,
               code == Code::kCorrupt ? "the file is damaged: get it again" : kMergeInPeft};
}

// Refuses what changes the arithmetic and is not done here.
Status check_method(const fs::path& file, const Json& config) {
  const std::string* type = find_string(config, "peft_type");
  if (type == nullptr || *type != "LORA") {
    return unusable(file, "peft_type is " + (type == nullptr ? "not told" : in_quotes(*type)) + ", LORA is read");
  }
  for (const char* key : {"use_dora", "fan_in_fan_out", "use_qalora", "lora_bias"}) {
    if (find_bool(config, key).value_or(false)) return unusable(file, in_quotes(key) + " is set");
  }
  for (const char* key : {"megatron_config", "layer_replication", "target_parameters", "trainable_token_indices",
                          "alora_invocation_tokens", "use_bdlora"}) {
    const Json* value = find_member(config, key);
    if (value != nullptr && !value->is_null() && *value != Json(false))
      return unusable(file, in_quotes(key) + " is set");
  }
  return ok();
}

// Whether PEFT's pattern `key` means `module`: it is the whole name, or its end behind a dot.
bool names(std::string_view key, std::string_view module) {
  return module.ends_with(key) && (module.size() == key.size() || module[module.size() - key.size() - 1] == '.');
}

class Reading {
 public:
  Reading(fs::path config_file, const Json& config) : config_file_(std::move(config_file)), config_(config) {}

  // scale · b a is added to the weights of `module`.
  Result<float> scale(const std::string& module, size_t rank) const {
    auto alpha = find_number(config_, "lora_alpha");
    const Json* patterns = find_member(config_, "alpha_pattern");
    if (patterns != nullptr && patterns->is_object()) {
      for (const auto& [key, value] : patterns->items()) {
        if (key.find_first_of("^$*+?()[]{}|\\") != std::string::npos) {
          return unusable(config_file_, "alpha_pattern has the expression " + in_quotes(key));
        }
        if (!names(key, module)) continue;
        alpha = value.is_number() ? std::optional(value.get<double>()) : std::nullopt;
        break;
      }
    }
    if (!alpha || !std::isfinite(*alpha)) return unusable(config_file_, "lora_alpha is no number", Code::kCorrupt);
    const auto r = static_cast<double>(rank);
    return static_cast<float>(*alpha / (find_bool(config_, "use_rslora").value_or(false) ? std::sqrt(r) : r));
  }

 private:
  fs::path config_file_;
  const Json& config_;
};

std::vector<float> values_of(const Tensor& tensor) {
  std::vector<float> values(static_cast<size_t>(tensor.elements()));
  tensor::decode_row(tensor.dtype, tensor.bytes.data(), 0, values);
  return values;
}

}  // namespace

Result<LoraAdapter> open_lora(const fs::path& folder) {
  const fs::path config_file = folder / "adapter_config.json", weights = folder / "adapter_model.safetensors";
  PHIAL_TRY(const Json config, read_json_if_there(config_file));
  if (config.is_null()) {
    return Error{Code::kNotFound, folder.string() + " is no LoRA adapter: it has no adapter_config.json",
                 "name the folder that PEFT saved"};
  }
  PHIAL_CHECKED(check_method(config_file, config));
  PHIAL_TRY(Checkpoint opened, Checkpoint::open(weights));
  LoraAdapter adapter = {.file = std::move(opened), .added = {}, .whole = {}};
  const Reading reading(config_file, config);
  for (const Tensor& tensor : adapter.file.tensors()) {
    if (!tensor::is_weight_type(tensor.dtype)) {
      return unusable(weights,
                      "tensor " + in_quotes(tensor.name) + " is stored as " +
                          std::string(tensor::info(tensor.dtype).name) + ", which holds no weights",
                      Code::kCorrupt);
    }
  }
  for (const Tensor& tensor : adapter.file.tensors()) {
    std::string_view name = tensor.name;
    if (!name.starts_with(kPrefix)) return unusable(weights, "tensor " + in_quotes(name) + " is not one of PEFT's");
    name.remove_prefix(kPrefix.size());
    const size_t marker = name.find(".lora_");
    if (marker == std::string_view::npos) {
      adapter.whole.emplace(std::string(name), tensor);
      continue;
    }
    const std::string module(name.substr(0, marker));
    const std::string_view part = name.substr(marker + 1);
    if (part == "lora_B.weight") continue;  // with its other half
    if (part != "lora_A.weight") return unusable(weights, "tensor " + in_quotes(tensor.name) + " is no low rank's");
    const Tensor* b = adapter.file.find(std::string(kPrefix) + module + ".lora_B.weight");
    if (b == nullptr || tensor.shape.size() != 2 || b->shape.size() != 2 || tensor.shape[0] != b->shape[1] ||
        tensor.elements() == 0 || b->elements() == 0) {
      return unusable(weights, "tensor " + in_quotes(tensor.name) + " does not fit its lora_B", Code::kCorrupt);
    }
    LowRank low = {.rank = static_cast<size_t>(tensor.shape[0]),
                   .rows = static_cast<size_t>(b->shape[0]),
                   .columns = static_cast<size_t>(tensor.shape[1]),
                   .a = values_of(tensor),
                   .b = values_of(*b)};
    PHIAL_TRY(low.scale, reading.scale(module, low.rank));
    adapter.added.emplace(module + ".weight", std::move(low));
  }
  return adapter;
}

}  // namespace phial::formats
