// config.json of Hugging Face -> DecoderSpec. Field names: the published Phi-3, Llama, Mistral and Qwen2
// configurations.

#include <cmath>

#include "phial/spec/fields.h"
#include "phial/spec/rope.h"
#include "phial/spec/spec.h"

namespace phial::spec {
namespace {

constexpr const char* kConfigWhere = "config.json";
constexpr const char* kConfigKnown = "use a model of the phi3, phi3small, llama, mistral or qwen2 architecture";

Error unsupported_decoder(const std::string& what, const std::string& remedy = kConfigKnown) {
  return Error{Code::kUnsupported, std::string(kConfigWhere) + ": " + what, remedy};
}

Result<std::string> architecture_of(const Json& config) {
  std::string type;
  if (const std::string* stated = find_string(config, "model_type")) {
    type = *stated;
  } else if (const Json* list = find_member(config, "architectures");
             list != nullptr && list->is_array() && !list->empty() && list->front().is_string()) {
    const auto name = list->front().get<std::string>();
    type = name == "Phi3ForCausalLM"        ? "phi3"
           : name == "Phi3SmallForCausalLM" ? "phi3small"
           : name == "LlamaForCausalLM"     ? "llama"
           : name == "MistralForCausalLM"   ? "mistral"
           : name == "Qwen2ForCausalLM"     ? "qwen2"
           : name == "Phi3VForCausalLM"     ? "phi3_v"
                                            : name;
  } else {
    return Error{Code::kCorrupt,
                 std::string(kConfigWhere) + ": neither 'model_type' nor 'architectures' says what this is",
                 "download the model again"};
  }
  if (type == "phi3_v") return std::string("phi3");  // the decoder; its image encoder is vision.h's
  if (type != "phi3" && type != "phi3small" && type != "llama" && type != "mistral" && type != "qwen2") {
    return unsupported_decoder("architecture '" + type + "' is not one that Phial runs");
  }
  return type;
}

// What would change the arithmetic and is not done here must be refused, never passed over.
Status refuse_unknown_variants(const Fields& fields, const Json& config, DecoderSpec& spec) {
  const bool is_small = spec.architecture == "phi3small";
  PHIAL_TRY(const std::string activation, fields.text_or("hidden_act", is_small ? "gegelu" : "silu"));
  if (activation == "gelu" && !is_small) {
    spec.activation = Activation::kGeGlu;
  } else if (activation == "gegelu" && is_small) {
    spec.activation = Activation::kGeGelu;
  } else if (is_small || (activation != "silu" && activation != "swish")) {
    return unsupported_decoder("activation '" + activation + "' is not one that Phial runs");
  }
  PHIAL_TRY(const bool mlp_bias, fields.flag_or("mlp_bias", false));
  if (mlp_bias) return unsupported_decoder("'mlp_bias' is true: biases in the feed-forward layers are not supported");
  if (const Json* quantization = find_member(config, "quantization_config");
      quantization != nullptr && !quantization->is_null()) {
    const std::string* method = find_string(*quantization, "quant_method");
    const bool is_read = method != nullptr && (*method == "awq" || *method == "gptq");  // by formats, which says more
    if (is_read) return ok();
    return unsupported_decoder(
        "quantization method '" + (method != nullptr ? *method : std::string("?")) + "' is not supported",
        "convert the model to GGUF, or use the unquantized one");
  }
  return ok();
}

Status read_sizes(const Fields& fields, DecoderSpec& spec) {
  PHIAL_TRY(spec.n_layers, fields.count("num_hidden_layers", 1, kMaxLayers));
  PHIAL_TRY(spec.hidden_dim, fields.count("hidden_size", 1, kMaxWidth));
  const bool is_small = spec.architecture == "phi3small";
  PHIAL_TRY(spec.ffn_dim, fields.count(is_small ? "ff_intermediate_size" : "intermediate_size", 1, kMaxWidth));
  PHIAL_TRY(spec.n_heads, fields.count("num_attention_heads", 1, kMaxHeads));
  PHIAL_TRY(spec.n_kv_heads, fields.count_or("num_key_value_heads", spec.n_heads, 1, kMaxHeads));
  if (!fields.has("head_dim") && spec.hidden_dim % spec.n_heads != 0) {
    return Error{Code::kCorrupt,
                 std::string(kConfigWhere) + ": hidden_size " + std::to_string(spec.hidden_dim) +
                     " is not a multiple of " + std::to_string(spec.n_heads) + " heads and there is no head_dim",
                 "download the model again"};
  }
  PHIAL_TRY(spec.head_dim, fields.count_or("head_dim", spec.hidden_dim / spec.n_heads, 2, kMaxHeadDim));
  PHIAL_TRY(spec.vocab_size, fields.count("vocab_size", 1, kMaxVocab));
  PHIAL_TRY(spec.context, fields.count("max_position_embeddings", 1, kMaxContext));
  if (is_small) {
    spec.norm = NormKind::kLayer;
    spec.has_attention_bias = spec.has_output_bias = spec.has_ffn_bias = true;
    PHIAL_TRY(spec.norm_eps, fields.positive_or("layer_norm_epsilon", 1e-5F));
    PHIAL_TRY(spec.tied_output, fields.flag_or("tie_word_embeddings", true));
    return ok();
  }
  PHIAL_TRY(spec.norm_eps, fields.positive_or("rms_norm_eps", spec.architecture == "phi3" ? 1e-5F : 1e-6F));
  PHIAL_TRY(spec.tied_output, fields.flag_or("tie_word_embeddings", false));
  PHIAL_TRY(const bool bias, fields.flag_or("attention_bias", false));
  spec.has_attention_bias = spec.architecture == "qwen2" || (bias && spec.architecture == "llama");
  spec.has_output_bias = bias && spec.architecture == "llama";
  return ok();
}

// What Phi-3-small has and no other: muP's multipliers, block-sparse layers, ids that are never an answer.
Status read_small(const Fields& fields, const Json& config, DecoderSpec& spec) {
  // What the reference's configuration has where the file says nothing; null is none.
  const auto number_or = [&](const char* key, float unstated, float none) -> Result<float> {
    if (find_member(config, key) == nullptr) return unstated;
    return fields.has(key) ? fields.positive(key) : Result<float>(none);
  };
  PHIAL_TRY(spec.gegelu_limit, number_or("gegelu_limit", 20, spec.gegelu_limit));
  PHIAL_TRY(spec.embedding_multiplier, number_or("mup_embedding_multiplier", 10, 1));
  PHIAL_TRY(spec.logit_divisor, number_or("mup_width_multiplier", 8, 1));
  PHIAL_TRY(const bool is_scaled, fields.flag_or("mup_use_scaling", true));
  if (is_scaled) {
    PHIAL_TRY(const float multiplier, fields.positive_or("mup_attn_multiplier", 1));
    spec.attention_scale = multiplier / static_cast<float>(spec.head_dim);
  }

  BlockSparse& sparse = spec.block_sparse;
  PHIAL_TRY(sparse.block, fields.count("blocksparse_block_size", 1, kMaxContext));
  PHIAL_TRY(sparse.local_blocks, fields.count("blocksparse_num_local_blocks", 1, kMaxContext));
  PHIAL_TRY(sparse.stride, fields.count("blocksparse_vert_stride", 1, kMaxContext));
  PHIAL_TRY(sparse.same_for_heads, fields.flag_or("blocksparse_homo_head_pattern", false));
  const bool states_dense = find_member(config, "dense_attention_every_n_layers") != nullptr;
  PHIAL_TRY(sparse.dense_every, fields.count_or("dense_attention_every_n_layers", states_dense ? 0 : 2, 0, kMaxLayers));

  const Json* masked = find_member(config, "dummy_token_indices");
  if (masked == nullptr || masked->is_null()) return ok();
  PHIAL_TRY(spec.masked_ids, fields.counts("dummy_token_indices", 0, spec.vocab_size - 1));
  return ok();
}

// Layers must agree on whether they slide: "layer_types" names them one by one in newer files, Qwen2 counts the layers
// from which on the window acts.
Status read_window(const Fields& fields, const Json& config, DecoderSpec& spec) {
  const bool states_none = find_member(config, "sliding_window") != nullptr && !fields.has("sliding_window");  // null
  if (spec.architecture == "llama" || spec.architecture == "phi3small" || states_none) return ok();
  const int unstated = spec.architecture == "mistral" ? 4096 : 0;  // the reference's defaults
  PHIAL_TRY(const int window, fields.count_or("sliding_window", unstated, 0, INT32_MAX - 1));
  size_t sliding = static_cast<size_t>(spec.n_layers), layers = sliding;
  if (const Json* types = find_member(config, "layer_types"); types != nullptr && types->is_array()) {
    layers = types->size();
    sliding = 0;
    for (const Json& type : *types) sliding += type == "sliding_attention" ? 1 : 0;
  } else if (spec.architecture == "qwen2") {
    PHIAL_TRY(const bool used, fields.flag_or("use_sliding_window", false));
    PHIAL_TRY(const int first, fields.count_or("max_window_layers", 28, 0, kMaxLayers));
    sliding = used && first < spec.n_layers ? static_cast<size_t>(spec.n_layers - first) : 0;
  }
  if (sliding != 0 && sliding != layers) {
    return unsupported_decoder("only " + std::to_string(sliding) + " of " + std::to_string(layers) +
                               " layers have a sliding window, which is not supported");
  }
  spec.sliding_window = sliding == 0 ? 0 : window;
  return ok();
}

Status read_long_rope(const Fields& rope, const Fields& top, bool yarn, DecoderSpec& spec) {
  LongRope& out = spec.long_rope;
  PHIAL_TRY(out.short_factors, rope.positive_list("short_factor"));
  PHIAL_TRY(out.long_factors, rope.positive_list("long_factor"));
  const Fields& place = rope.has("original_max_position_embeddings") ? rope : top;
  PHIAL_TRY(out.original_context, place.count("original_max_position_embeddings", 1, kMaxContext));
  PHIAL_TRY(const float scale,
            rope.positive_or("factor", static_cast<float>(static_cast<double>(spec.context) / out.original_context)));
  float factor = long_rope_attention_factor(scale, out.original_context);
  if (yarn) factor = scale > 1 ? 0.1F * std::log(scale) + 1 : 1;
  PHIAL_TRY(factor, rope.positive_or("attention_factor", factor));
  PHIAL_TRY(out.short_attention_factor, rope.positive_or("short_mscale", factor));
  PHIAL_TRY(out.long_attention_factor, rope.positive_or("long_mscale", factor));
  return ok();
}

Status read_llama3_rope(const Fields& rope, DecoderSpec& spec) {
  PHIAL_TRY(const float factor, rope.positive("factor"));
  PHIAL_TRY(const float low, rope.positive("low_freq_factor"));
  PHIAL_TRY(const float high, rope.positive("high_freq_factor"));
  if (low >= high) return rope.wrong("high_freq_factor", "more than low_freq_factor");
  PHIAL_TRY(const int original, rope.count("original_max_position_embeddings", 1, kMaxContext));
  spec.rope_divisors = llama3_divisors(spec.rope_dims, spec.rope_theta, factor, low, high, original);
  return ok();
}

Status read_rope(const Json& config, const Fields& top, DecoderSpec& spec) {
  static const Json kNone = Json::object();
  const Json* stated = find_member(config, "rope_parameters");
  if (stated == nullptr || stated->is_null()) stated = find_member(config, "rope_scaling");
  const Json& object = stated != nullptr && stated->is_object() ? *stated : kNone;
  const Fields rope(object, "", "config.json, rotary parameters");

  const bool is_small = spec.architecture == "phi3small";
  PHIAL_TRY(const float theta,
            is_small ? top.positive_or("rope_embedding_base", 1e6F) : top.positive_or("rope_theta", 10000));
  PHIAL_TRY(spec.rope_theta, rope.positive_or("rope_theta", theta));
  PHIAL_TRY(const float top_part, top.positive_or("partial_rotary_factor", 1));
  PHIAL_TRY(const float part, rope.positive_or("partial_rotary_factor", top_part));
  if (part > 1) return rope.wrong("partial_rotary_factor", "at most 1");
  spec.rope_dims = static_cast<int>(static_cast<double>(spec.head_dim) * static_cast<double>(part));

  PHIAL_TRY(const std::string old_type, rope.text_or("type", "default"));
  PHIAL_TRY(const std::string type, rope.text_or("rope_type", old_type));
  if (rope.has("full_attention") || rope.has("sliding_attention")) {
    return unsupported_decoder("rotary parameters that differ between layers are not supported");
  }
  if (type == "default") return ok();
  if (type == "su" || type == "longrope") return read_long_rope(rope, top, false, spec);
  if (type == "yarn" && spec.architecture == "phi3") return read_long_rope(rope, top, true, spec);
  if (type == "llama3") return read_llama3_rope(rope, spec);
  if (type == "linear") {
    PHIAL_TRY(const float factor, rope.positive("factor"));
    spec.rope_divisors = linear_divisors(spec.rope_dims, factor);
    return ok();
  }
  return unsupported_decoder("rotary scaling '" + type + "' is not supported",
                             "remove rope_scaling from config.json to run the model at its original context");
}

// Positions are divided by it, which is to divide the angles.
Status read_position_scale(const Fields& fields, DecoderSpec& spec) {
  PHIAL_TRY(const float scale, fields.positive_or("rope_position_scale", 1));
  if (scale == 1) return ok();
  if (!spec.long_rope.active() && spec.rope_divisors.empty()) spec.rope_divisors = linear_divisors(spec.rope_dims, 1);
  for (auto* divisors : {&spec.rope_divisors, &spec.long_rope.short_factors, &spec.long_rope.long_factors}) {
    for (float& divisor : *divisors) divisor *= scale;
  }
  return ok();
}

}  // namespace

Result<DecoderSpec> decoder_from_config(const Json& config) {
  DecoderSpec spec;
  PHIAL_TRY(spec.architecture, architecture_of(config));
  const std::string* name = find_string(config, "_name_or_path");
  spec.name = name != nullptr && !name->empty() ? *name : spec.architecture;
  const Fields fields(config, "", kConfigWhere);
  PHIAL_CHECKED(refuse_unknown_variants(fields, config, spec));
  PHIAL_CHECKED(read_sizes(fields, spec));
  PHIAL_CHECKED(read_window(fields, config, spec));
  PHIAL_CHECKED(read_rope(config, fields, spec));
  if (spec.architecture == "phi3small") {
    PHIAL_CHECKED(read_position_scale(fields, spec));
    PHIAL_CHECKED(read_small(fields, config, spec));
  }
  PHIAL_CHECKED(validate(spec));
  return spec;
}

}  // namespace phial::spec
