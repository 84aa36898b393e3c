// Keys: docs/formats.md and the GGUF specification; what llama.cpp's own converters write for these architectures.
#include <string>

#include "phial/convert/settings.h"

namespace phial::convert {
namespace {

Error cannot_express(const std::string& what) {
  return Error{Code::kUnsupported, what + " cannot be written into a GGUF file", "use the folder as it is"};
}

int file_type(tensor::DType weights) {
  if (weights == tensor::DType::kF16) return 1;
  return weights == tensor::DType::kBF16 ? 32 : 0;
}

}  // namespace

Result<Json> gguf_metadata(const spec::DecoderSpec& spec, tensor::DType weights) {
  const std::string architecture = spec.architecture == "mistral" ? "llama" : spec.architecture;
  if (spec.activation != spec::Activation::kSwiGlu) return cannot_express("the activation 'gelu'");
  const bool has_biases = spec.has_attention_bias || spec.has_output_bias;
  if (has_biases && architecture != "llama" && architecture != "qwen2") {
    return cannot_express("a " + spec.architecture + " whose attention has biases");
  }
  const bool has_factors = !spec.rope_divisors.empty();
  if (has_factors && architecture != "llama") {
    return cannot_express("the rotary scaling of this " + spec.architecture);
  }
  const spec::LongRope& rope = spec.long_rope;
  if (rope.active() && architecture != "phi3") return cannot_express("LongRoPE in a " + spec.architecture);
  if (rope.active() && rope.short_attention_factor != rope.long_attention_factor) {
    return cannot_express("LongRoPE whose short_mscale and long_mscale differ");
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
  put("attention.layer_norm_rms_epsilon", spec.norm_eps);
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
  } else if (architecture == "phi3") {
    put("rope.scaling.original_context_length", spec.context);
  }
  return out;
}

}  // namespace phial::convert
