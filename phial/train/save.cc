#include "phial/train/save.h"

#include <cmath>
#include <stop_token>
#include <string>
#include <system_error>

#include "phial/base/json_writer.h"
#include "phial/base/output_file.h"
#include "phial/formats/safetensors_writer.h"
#include "phial/train/stored_tensor.h"

namespace phial::train {
namespace {

namespace fs = std::filesystem;

constexpr const char* kTokenizerFiles[] = {
    "tokenizer.json", "tokenizer.model", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
    "vocab.json",     "merges.txt",      "chat_template.jinja",   "cl100k_base.tiktoken",    "generation_config.json"};

struct Export {
  Json config;
  std::vector<Parameter> parameters = {};
};

// The rows of a parameter that make queries.
at::Tensor query_rows(const spec::DecoderSpec& spec, const Parameter& parameter) {
  return parameter.role == spec::TensorRole::kQkv ? parameter.value.slice(0, 0, int64_t{spec.n_heads} * spec.head_dim)
                                                  : parameter.value;
}

bool holds_queries(const Parameter& parameter) {
  if (parameter.role == spec::TensorRole::kQkv || parameter.role == spec::TensorRole::kQuery) return true;
  return parameter.name.ends_with("self_attn.q_proj.bias");
}

// The same network without multipliers: plain scale of attention, embeddings and logits as they come.
Export folded(const spec::DecoderSpec& spec, const Json& config, const std::vector<Parameter>& parameters) {
  Export out = {.config = config};
  const double scale = static_cast<double>(spec::attention_scale(spec)) * std::sqrt(static_cast<double>(spec.head_dim));
  const bool both_differ = spec.embedding_multiplier != 1 || spec.logit_divisor != 1;
  const bool untie = spec.tied_output && both_differ;
  for (const Parameter& parameter : parameters) {
    Parameter copy = {parameter.name, parameter.role, parameter.value.detach().clone()};
    if (holds_queries(copy)) query_rows(spec, copy).mul_(scale);
    if (copy.role == spec::TensorRole::kHead) copy.value.div_(spec.logit_divisor);
    if (copy.role == spec::TensorRole::kEmbedding) {
      if (untie) out.parameters.push_back({"lm_head.weight", spec::TensorRole::kHead, copy.value / spec.logit_divisor});
      copy.value.mul_(spec.embedding_multiplier);
    }
    out.parameters.push_back(std::move(copy));
  }
  if (untie) out.config["tie_word_embeddings"] = false;
  return out;
}

Export with_multipliers(const spec::DecoderSpec& spec, const Json& config, const std::vector<Parameter>& parameters) {
  Export out = {config, parameters};
  out.config["mup_use_scaling"] = true;
  out.config["mup_attn_multiplier"] = static_cast<double>(spec::attention_scale(spec)) * spec.head_dim;
  out.config["mup_width_multiplier"] = spec.logit_divisor;
  out.config["mup_embedding_multiplier"] = spec.embedding_multiplier;
  return out;
}

bool has_multipliers(const spec::DecoderSpec& spec) {
  return spec.embedding_multiplier != 1 || spec.logit_divisor != 1 || spec.attention_scale != 0;
}

}  // namespace

Status copy_tokenizer(const fs::path& from, const fs::path& to) {
  for (const char* name : kTokenizerFiles) {
    std::error_code failed;
    if (!fs::is_regular_file(from / name, failed)) continue;
    fs::copy_file(from / name, to / name, fs::copy_options::overwrite_existing, failed);
    if (failed) return Error{Code::kIo, (from / name).string() + " cannot be copied: " + failed.message(), ""};
  }
  return ok();
}

Status write_model_folder(const fs::path& folder, const spec::DecoderSpec& spec, const Json& config,
                          const std::vector<Parameter>& parameters, tensor::DType dtype, const fs::path& files_of,
                          const Json& preprocessor) {
  Export out = {config, parameters};
  if (spec.architecture == "phi3small") {
    out = with_multipliers(spec, config, parameters);
  } else if (has_multipliers(spec)) {
    out = folded(spec, config, parameters);
  }
  out.config.erase("torch_dtype");
  out.config["dtype"] = dtype == tensor::DType::kBF16 ? "bfloat16" : "float32";
  return write_beside(folder, [&](const fs::path& partial) -> Status {
    PHIAL_CHECKED(make_folders(partial));
    StoredTensors tensors;
    for (const Parameter& parameter : out.parameters) tensors.add(parameter.name, parameter.value, dtype);
    PHIAL_CHECKED(formats::write_safetensors(partial / "model.safetensors", tensors.tensors(), {}));
    PHIAL_CHECKED(write_json_file(partial / "config.json", out.config, 2));
    if (!preprocessor.is_null()) {
      PHIAL_CHECKED(write_json_file(partial / "preprocessor_config.json", preprocessor, 2));
    }
    return files_of.empty() ? ok() : copy_tokenizer(files_of, partial);
  });
}

}  // namespace phial::train
