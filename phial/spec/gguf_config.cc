// GGUF metadata -> DecoderSpec. Keys: docs/formats.md.

#include <algorithm>

#include "phial/spec/fields.h"
#include "phial/spec/rope.h"
#include "phial/spec/spec.h"

namespace phial::spec {
namespace {

constexpr const char* kGgufWhere = "GGUF metadata";
constexpr const char* kGgufKnown = "use a model of the phi3, phi3small, llama or qwen2 architecture";

Error unsupported_gguf(const std::string& what) {
  return Error{Code::kUnsupported, std::string(kGgufWhere) + ": " + what, kGgufKnown};
}

// A count that newer files may give layer by layer; all layers must agree.
Result<int> uniform_count(const Json& metadata, const Fields& fields, const std::string& prefix, const char* key,
                          int high) {
  const Json* value = find_member(metadata, prefix + key);
  if (value == nullptr || !value->is_array()) return fields.count(key, 1, high);
  if (value->empty() ||
      !std::all_of(value->begin(), value->end(), [&](const Json& v) { return v == value->front(); })) {
    return unsupported_gguf(std::string("'") + prefix + key + "' differs between layers");
  }
  const Json one = {{prefix + key, value->front()}};
  return Fields(one, prefix, kGgufWhere).count(key, 1, high);
}

Status read_sizes(const Json& metadata, const Fields& fields, const std::string& prefix, DecoderSpec& spec) {
  PHIAL_TRY(spec.n_layers, fields.count("block_count", 1, kMaxLayers));
  PHIAL_TRY(spec.hidden_dim, fields.count("embedding_length", 1, kMaxWidth));
  PHIAL_TRY(spec.ffn_dim, uniform_count(metadata, fields, prefix, "feed_forward_length", kMaxWidth));
  PHIAL_TRY(spec.n_heads, uniform_count(metadata, fields, prefix, "attention.head_count", kMaxHeads));
  spec.n_kv_heads = spec.n_heads;
  if (fields.has("attention.head_count_kv")) {
    PHIAL_TRY(spec.n_kv_heads, uniform_count(metadata, fields, prefix, "attention.head_count_kv", kMaxHeads));
  }
  if (!fields.has("attention.key_length") && spec.hidden_dim % spec.n_heads != 0) {
    return Error{Code::kCorrupt,
                 std::string(kGgufWhere) + ": " + std::to_string(spec.n_heads) +
                     " heads do not divide an embedding of " + std::to_string(spec.hidden_dim) + " and there is no '" +
                     prefix + "attention.key_length'",
                 "convert the model anew"};
  }
  PHIAL_TRY(spec.head_dim, fields.count_or("attention.key_length", spec.hidden_dim / spec.n_heads, 2, kMaxHeadDim));
  PHIAL_TRY(const int value_dim, fields.count_or("attention.value_length", spec.head_dim, 2, kMaxHeadDim));
  if (value_dim != spec.head_dim) return unsupported_gguf("keys and values of different length are not supported");
  PHIAL_TRY(spec.context, fields.count("context_length", 1, kMaxContext));
  PHIAL_TRY(spec.norm_eps, fields.positive(spec.norm == NormKind::kLayer ? "attention.layer_norm_epsilon"
                                                                         : "attention.layer_norm_rms_epsilon"));
  PHIAL_TRY(spec.sliding_window, fields.count_or("attention.sliding_window", 0, 0, INT32_MAX - 1));

  const Json* tokens = find_member(metadata, "tokenizer.ggml.tokens");
  const size_t listed = tokens != nullptr && tokens->is_array() ? std::min<size_t>(tokens->size(), kMaxVocab) : 0;
  PHIAL_TRY(spec.vocab_size, fields.count_or("vocab_size", static_cast<int>(listed), 0, kMaxVocab));
  return ok();
}

Status read_rope(const Fields& fields, DecoderSpec& spec) {
  PHIAL_TRY(spec.rope_theta, fields.positive_or("rope.freq_base", 10000));
  PHIAL_TRY(spec.rope_dims, fields.count_or("rope.dimension_count", spec.head_dim, 2, kMaxHeadDim));

  // The factors of LongRoPE are tensors; what the metadata says of them is kept until they are bound.
  LongRope& rope = spec.long_rope;
  PHIAL_TRY(rope.original_context,
            fields.count_or("rope.scaling.original_context_length", spec.context, 1, kMaxContext));
  const float computed =
      long_rope_attention_factor(static_cast<double>(spec.context) / rope.original_context, rope.original_context);
  PHIAL_TRY(rope.long_attention_factor, fields.positive_or("rope.scaling.attn_factor", computed));
  PHIAL_TRY(rope.short_attention_factor,
            fields.positive_or("rope.scaling.short_attn_factor", rope.long_attention_factor));

  PHIAL_TRY(const std::string type, fields.text_or("rope.scaling.type", "none"));
  PHIAL_TRY(const float old_scale, fields.positive_or("rope.scale_linear", 1));
  PHIAL_TRY(const float scale, fields.positive_or("rope.scaling.factor", old_scale));
  if (type == "linear" || (type == "none" && old_scale != 1)) {
    spec.rope_divisors = linear_divisors(spec.rope_dims, scale);
  } else if (type != "none" && type != "longrope") {
    return unsupported_gguf("rotary scaling '" + type + "' is not supported");
  }
  return ok();
}

// Keys of our own: what Phi-3-small has and no other.
Status read_small(const Fields& fields, DecoderSpec& spec) {
  PHIAL_TRY(spec.attention_scale, fields.positive("attention.scale"));
  PHIAL_TRY(spec.embedding_multiplier, fields.positive("embedding_scale"));
  PHIAL_TRY(spec.logit_divisor, fields.positive("logit_divisor"));
  if (fields.has("gegelu_limit")) {
    PHIAL_TRY(spec.gegelu_limit, fields.positive("gegelu_limit"));
  }
  if (fields.has("masked_token_ids")) {
    PHIAL_TRY(spec.masked_ids, fields.counts("masked_token_ids", 0, kMaxVocab));
  }
  BlockSparse& sparse = spec.block_sparse;
  PHIAL_TRY(sparse.block, fields.count("block_sparse.block_size", 1, kMaxContext));
  PHIAL_TRY(sparse.local_blocks, fields.count("block_sparse.local_blocks", 1, kMaxContext));
  PHIAL_TRY(sparse.stride, fields.count("block_sparse.vertical_stride", 1, kMaxContext));
  PHIAL_TRY(sparse.dense_every, fields.count("block_sparse.dense_every_n_layers", 0, kMaxLayers));
  PHIAL_TRY(sparse.same_for_heads, fields.flag_or("block_sparse.same_for_heads", false));
  return ok();
}

}  // namespace

Result<DecoderSpec> decoder_from_gguf(const Json& metadata) {
  const std::string* architecture = find_string(metadata, "general.architecture");
  if (architecture == nullptr) {
    return Error{Code::kCorrupt, std::string(kGgufWhere) + ": 'general.architecture' is missing",
                 "download the file again"};
  }
  if (*architecture == "clip") {
    return Error{Code::kUnsupported, "an image encoder alone, which is half a model",
                 "name the model's own GGUF file, and this one with --projector"};
  }
  if (*architecture != "phi3" && *architecture != "phi3small" && *architecture != "llama" && *architecture != "qwen2") {
    return unsupported_gguf("architecture '" + *architecture + "' is not one that Phial runs");
  }
  DecoderSpec spec;
  spec.architecture = *architecture;
  const std::string* name = find_string(metadata, "general.name");
  spec.name = name != nullptr && !name->empty() ? *name : spec.architecture;
  spec.rotary_pairs_adjacent = *architecture == "llama";
  const bool is_small = *architecture == "phi3small";
  spec.has_attention_bias = is_small || *architecture == "qwen2";
  if (is_small) {
    spec.norm = NormKind::kLayer;
    spec.activation = Activation::kGeGelu;
    spec.has_output_bias = spec.has_ffn_bias = true;
  }

  const std::string prefix = *architecture + ".";
  const Fields fields(metadata, prefix, kGgufWhere);
  PHIAL_TRY(const int experts, fields.count_or("expert_count", 0, 0, INT32_MAX));
  if (experts > 1) return unsupported_gguf("a mixture of " + std::to_string(experts) + " experts is not supported");
  PHIAL_CHECKED(read_sizes(metadata, fields, prefix, spec));
  PHIAL_CHECKED(read_rope(fields, spec));
  if (is_small) PHIAL_CHECKED(read_small(fields, spec));
  DecoderSpec probe = spec;  // the vocabulary may be told by the embedding's rows alone
  if (probe.vocab_size == 0) probe.vocab_size = kMaxVocab;
  PHIAL_CHECKED(validate(probe));
  return spec;
}

}  // namespace phial::spec
