// Field names: the published configurations of Phi-3, Phi-3-small, Llama, Mistral and Qwen2.
#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "phial/convert/settings.h"
#include "phial/spec/rope.h"

namespace phial::convert {
namespace {

Error no_folder_for(const std::string& what) {
  return Error{Code::kUnsupported, what + " cannot be written into config.json",
               "use the model's own Hugging Face folder"};
}

std::string class_of(const std::string& architecture) {
  if (architecture == "phi3") return "Phi3ForCausalLM";
  if (architecture == "phi3small") return "Phi3SmallForCausalLM";
  if (architecture == "mistral") return "MistralForCausalLM";
  return architecture == "qwen2" ? "Qwen2ForCausalLM" : "LlamaForCausalLM";
}

std::string dtype_name(tensor::DType weights) {
  if (weights == tensor::DType::kF16) return "float16";
  return weights == tensor::DType::kBF16 ? "bfloat16" : "float32";
}

Json id_or_null(const Json& metadata, const std::string& role) {
  const auto id = find_int(metadata, "tokenizer.ggml." + role + "_token_id");
  return id && *id >= 0 && *id < INT32_MAX ? Json(*id) : Json();
}

// The published parameters of Llama 3 that give these divisors, or null.
Json llama3_scaling(const spec::DecoderSpec& spec) {
  constexpr float kLow = 1, kHigh = 4;
  constexpr int kOriginal = 8192;
  for (const float factor : {8.0F, 32.0F}) {
    const auto wanted = spec::llama3_divisors(spec.rope_dims, spec.rope_theta, factor, kLow, kHigh, kOriginal);
    const bool equal = std::equal(wanted.begin(), wanted.end(), spec.rope_divisors.begin(), spec.rope_divisors.end(),
                                  [](float a, float b) { return std::fabs(a - b) <= 1e-5F * std::fabs(a); });
    if (!equal) continue;
    return {{"rope_type", "llama3"},
            {"factor", factor},
            {"low_freq_factor", kLow},
            {"high_freq_factor", kHigh},
            {"original_max_position_embeddings", kOriginal}};
  }
  return {};
}

Json rope_scaling(const spec::DecoderSpec& spec) {
  const spec::LongRope& rope = spec.long_rope;
  if (rope.active()) {
    Json out = {{"type", "longrope"}, {"short_factor", rope.short_factors}, {"long_factor", rope.long_factors}};
    const double scale = static_cast<double>(spec.context) / rope.original_context;
    const float usual = spec::long_rope_attention_factor(scale, rope.original_context);
    if (std::fabs(usual - rope.long_attention_factor) > 1e-6F * usual) {
      out["attention_factor"] = rope.long_attention_factor;
    }
    return out;
  }
  if (spec.rope_divisors.empty()) return {};
  const float first = spec.rope_divisors.front();
  if (std::all_of(spec.rope_divisors.begin(), spec.rope_divisors.end(), [&](float d) { return d == first; })) {
    return {{"type", "linear"}, {"rope_type", "linear"}, {"factor", first}};
  }
  Json llama3 = llama3_scaling(spec);
  if (!llama3.is_null()) return llama3;
  return {{"rope_type", "longrope"},  // whose two tables are the same: any divisors at all
          {"short_factor", spec.rope_divisors},
          {"long_factor", spec.rope_divisors},
          {"original_max_position_embeddings", spec.context},
          {"attention_factor", 1.0}};
}

// Fields that Phi-3-small spells in its own way, or has alone.
Json small_config(const spec::DecoderSpec& spec, Json out) {
  for (const char* name : {"intermediate_size", "rms_norm_eps", "rope_theta"}) out.erase(name);
  out.update({{"hidden_act", "gegelu"},
              {"ff_intermediate_size", spec.ffn_dim},
              {"gegelu_limit", spec.gegelu_limit > 0 ? Json(spec.gegelu_limit) : Json()},
              {"layer_norm_epsilon", spec.norm_eps},
              {"rope_embedding_base", spec.rope_theta},
              {"rope_position_scale", 1.0},
              {"mup_use_scaling", true},
              {"mup_attn_multiplier", spec::attention_scale(spec) * static_cast<float>(spec.head_dim)},
              {"mup_embedding_multiplier", spec.embedding_multiplier},
              {"mup_width_multiplier", spec.logit_divisor},
              {"blocksparse_block_size", spec.block_sparse.block},
              {"blocksparse_num_local_blocks", spec.block_sparse.local_blocks},
              {"blocksparse_vert_stride", spec.block_sparse.stride},
              {"blocksparse_homo_head_pattern", spec.block_sparse.same_for_heads},
              {"dense_attention_every_n_layers", spec.block_sparse.dense_every},
              {"dummy_token_indices", spec.masked_ids}});
  const spec::LongRope& rope = spec.long_rope;
  if (rope.active()) {
    out["rope_scaling"] = {{"type", "longrope"},
                           {"short_factor", rope.short_factors},
                           {"long_factor", rope.long_factors},
                           {"short_mscale", rope.short_attention_factor},
                           {"long_mscale", rope.long_attention_factor},
                           {"original_max_position_embeddings", rope.original_context}};
  }
  return out;
}

}  // namespace

Result<Json> folder_config(const spec::DecoderSpec& spec, tensor::DType weights, const Json& metadata) {
  const bool is_mistral = spec.architecture == "llama" && spec.sliding_window > 0;
  const std::string type = is_mistral ? "mistral" : spec.architecture;
  // Qwen2's q, k and v always have biases; a Llama has them there and behind the output, or nowhere.
  const bool has_biases = spec.has_attention_bias || spec.has_output_bias;
  const bool is_usual = type == "qwen2"
                            ? !spec.has_output_bias
                            : !has_biases || (type == "llama" && spec.has_attention_bias && spec.has_output_bias);
  if (!is_usual && type != "phi3small") return no_folder_for("the biases in the attention of this " + type);
  Json out = {{"model_type", type},
              {"architectures", {class_of(type)}},
              {"hidden_act", "silu"},
              {"hidden_size", spec.hidden_dim},
              {"intermediate_size", spec.ffn_dim},
              {"num_hidden_layers", spec.n_layers},
              {"num_attention_heads", spec.n_heads},
              {"num_key_value_heads", spec.n_kv_heads},
              {"vocab_size", spec.vocab_size},
              {"max_position_embeddings", spec.context},
              {"rms_norm_eps", spec.norm_eps},
              {"rope_theta", spec.rope_theta},
              {"rope_scaling", rope_scaling(spec)},
              {"tie_word_embeddings", spec.tied_output},
              {"torch_dtype", dtype_name(weights)},
              {"use_cache", true},
              {"bos_token_id", id_or_null(metadata, "bos")},
              {"eos_token_id", id_or_null(metadata, "eos")},
              {"pad_token_id", id_or_null(metadata, "padding")}};
  if (spec.head_dim * spec.n_heads != spec.hidden_dim) out["head_dim"] = spec.head_dim;
  if (spec.rope_dims != spec.head_dim) {
    out["partial_rotary_factor"] = static_cast<double>(spec.rope_dims) / spec.head_dim;
  }
  if (type == "phi3small") return small_config(spec, std::move(out));
  if (type == "llama") out["attention_bias"] = has_biases;
  if (type == "phi3") {
    out["original_max_position_embeddings"] = spec.long_rope.active() ? spec.long_rope.original_context : spec.context;
  }
  if (type != "llama") out["sliding_window"] = spec.sliding_window > 0 ? Json(spec.sliding_window) : Json();
  if (type == "qwen2" && spec.sliding_window > 0) {
    out["use_sliding_window"] = true;
    out["max_window_layers"] = 0;
  }
  return out;
}

}  // namespace phial::convert
