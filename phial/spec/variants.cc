#include "phial/spec/variants.h"

#include <array>

#include "phial/spec/rope.h"

namespace phial::spec {
namespace {

DecoderSpec mini_4k() {
  DecoderSpec spec;
  spec.architecture = "phi3";
  spec.name = "phi3-mini-4k";
  spec.n_layers = 32;
  spec.hidden_dim = 3072;
  spec.ffn_dim = 8192;
  spec.n_heads = 32;
  spec.n_kv_heads = 32;
  spec.head_dim = 96;
  spec.rope_dims = 96;
  spec.vocab_size = 32064;
  spec.context = 4096;
  spec.sliding_window = 2047;
  return spec;
}

DecoderSpec medium_4k() {
  DecoderSpec spec = mini_4k();
  spec.name = "phi3-medium-4k";
  spec.n_layers = 40;
  spec.hidden_dim = 5120;
  spec.ffn_dim = 17920;
  spec.n_heads = 40;
  spec.n_kv_heads = 10;
  spec.head_dim = 128;
  spec.rope_dims = 128;
  return spec;
}

DecoderSpec small_8k() {
  DecoderSpec spec;
  spec.architecture = "phi3small";
  spec.name = "phi3-small-8k";
  spec.n_layers = 32;
  spec.hidden_dim = 4096;
  spec.ffn_dim = 14336;
  spec.n_heads = 32;
  spec.n_kv_heads = 8;
  spec.head_dim = 128;
  spec.rope_dims = 128;
  spec.rope_theta = 1000000;
  spec.vocab_size = 100352;
  spec.context = 8192;
  spec.norm = NormKind::kLayer;
  spec.activation = Activation::kGeGelu;
  spec.gegelu_limit = 20;
  spec.embedding_multiplier = 10;
  spec.logit_divisor = 8;
  spec.attention_scale = 1.0F / 128;
  spec.block_sparse = {.block = 64, .local_blocks = 16, .stride = 8, .dense_every = 2, .same_for_heads = false};
  spec.tied_output = true;
  spec.has_attention_bias = spec.has_output_bias = spec.has_ffn_bias = true;
  return spec;
}

DecoderSpec extended_to_128k(DecoderSpec spec, const char* name, int window) {
  spec.name = name;
  spec.long_rope.original_context = spec.context;
  spec.context = 131072;
  spec.sliding_window = window;
  spec.long_rope.long_attention_factor = long_rope_attention_factor(
      static_cast<double>(spec.context) / spec.long_rope.original_context, spec.long_rope.original_context);
  spec.long_rope.short_attention_factor = spec.long_rope.long_attention_factor;
  return spec;
}

}  // namespace

std::span<const DecoderSpec> variants() {
  static const std::array<DecoderSpec, 6> kVariants = {
      mini_4k(),   extended_to_128k(mini_4k(), "phi3-mini-128k", 262144),
      medium_4k(), extended_to_128k(medium_4k(), "phi3-medium-128k", 131072),
      small_8k(),  extended_to_128k(small_8k(), "phi3-small-128k", 0),
  };
  return kVariants;
}

uint64_t parameters(const DecoderSpec& spec) {
  const auto size = [](int n) { return static_cast<uint64_t>(n); };
  const uint64_t hidden = size(spec.hidden_dim), ffn = size(spec.ffn_dim), vocab = size(spec.vocab_size);
  const uint64_t q = size(spec.n_heads) * size(spec.head_dim), kv = size(spec.n_kv_heads) * size(spec.head_dim);
  uint64_t layer = hidden * (q + 2 * kv) + q * hidden + 3 * hidden * ffn + 2 * hidden;
  if (spec.has_attention_bias) layer += q + 2 * kv;
  if (spec.has_output_bias) layer += hidden;
  if (spec.has_ffn_bias) layer += 2 * ffn + hidden;
  const uint64_t norm_biases = spec.norm == NormKind::kLayer ? hidden : 0;  // of one norm
  layer += 2 * norm_biases;
  return (spec.tied_output ? 1 : 2) * vocab * hidden + hidden + norm_biases + size(spec.n_layers) * layer;
}

}  // namespace phial::spec
