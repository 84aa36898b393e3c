// Keys: docs/formats.md and the GGUF specification; what llama.cpp's own converters write for these architectures.
#include <functional>
#include <string>
#include <utility>

#include "phial/convert/settings.h"

namespace phial::convert {
namespace {

Error no_gguf_for(const std::string& what) {
  return Error{Code::kUnsupported, what + " cannot be written into a GGUF file", "use the folder as it is"};
}

// What no other architecture has, under keys of our own.
void put_small(const spec::DecoderSpec& spec, const std::function<void(const char*, Json)>& put) {
  put("attention.layer_norm_epsilon", spec.norm_eps);
  put("attention.scale", spec::attention_scale(spec));
  put("embedding_scale", spec.embedding_multiplier);
  put("logit_divisor", spec.logit_divisor);
  if (spec.gegelu_limit > 0) put("gegelu_limit", spec.gegelu_limit);
  if (!spec.masked_ids.empty()) put("masked_token_ids", spec.masked_ids);
  put("block_sparse.block_size", spec.block_sparse.block);
  put("block_sparse.local_blocks", spec.block_sparse.local_blocks);
  put("block_sparse.vertical_stride", spec.block_sparse.stride);
  put("block_sparse.dense_every_n_layers", spec.block_sparse.dense_every);
  put("block_sparse.same_for_heads", spec.block_sparse.same_for_heads);
}

}  // namespace

int file_type(tensor::DType weights) {
  if (weights == tensor::DType::kF16) return 1;
  return weights == tensor::DType::kBF16 ? 32 : 0;
}

Result<Json> gguf_metadata(const spec::DecoderSpec& spec, tensor::DType weights) {
  const std::string architecture = spec.architecture == "mistral" ? "llama" : spec.architecture;
  const bool is_small = architecture == "phi3small";
  if (spec.activation == spec::Activation::kGeGlu) return no_gguf_for("the activation 'gelu'");
  const bool has_biases = spec.has_attention_bias || spec.has_output_bias;
  if (has_biases && architecture != "llama" && architecture != "qwen2" && !is_small) {
    return no_gguf_for("a " + spec.architecture + " whose attention has biases");
  }
  const bool has_factors = !spec.rope_divisors.empty();
  if (has_factors && architecture != "llama" && !is_small) {
    return no_gguf_for("the rotary scaling of this " + spec.architecture);
  }
  const spec::LongRope& rope = spec.long_rope;
  if (rope.active() && architecture != "phi3" && !is_small) return no_gguf_for("LongRoPE in a " + spec.architecture);
  if (rope.active() && rope.short_attention_factor != rope.long_attention_factor && !is_small) {
    return no_gguf_for("LongRoPE whose short_mscale and long_mscale differ");
  }

  Json out = {
      {"general.architecture", architecture}, {"general.name", spec.name}, {"general.file_type", file_type(weights)}};
  const auto put = [&](const char* key, Json value) { out[architecture + "." + key] = std::move(value); };
  put("context_length", spec.context);
  put("embedding_length", spec.hidden_dim);
  put("feed_forward_length", spec.ffn_dim);
  put("block_count", spec.n_layers);
  put("vocab_size", spec.vocab_size);
  put("attention.head_count", spec.n_heads);
  put("attention.head_count_kv", spec.n_kv_heads);
  if (is_small) {
    put_small(spec, put);
  } else {
    put("attention.layer_norm_rms_epsilon", spec.norm_eps);
  }
  if (spec.head_dim * spec.n_heads != spec.hidden_dim) {
    put("attention.key_length", spec.head_dim);
    put("attention.value_length", spec.head_dim);
  }
  if (spec.sliding_window > 0 || architecture == "phi3") put("attention.sliding_window", spec.sliding_window);
  put("rope.dimension_count", spec.rope_dims);
  put("rope.freq_base", spec.rope_theta);
  if (rope.active()) {
    put("rope.scaling.original_context_length", rope.original_context);
    put("rope.scaling.attn_factor", rope.long_attention_factor);
    if (is_small) put("rope.scaling.short_attn_factor", rope.short_attention_factor);
  } else if (architecture == "phi3") {
    put("rope.scaling.original_context_length", spec.context);
  }
  return out;
}

}  // namespace phial::convert
