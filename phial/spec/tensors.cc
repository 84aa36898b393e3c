#include "phial/spec/tensors.h"

namespace phial::spec {
namespace {

// Appends tensors with a common prefix.
class Lister {
 public:
  explicit Lister(std::vector<DecoderTensor>& into) : into_(into) {}

  void matrix(const std::string& name, TensorRole role, int64_t out, int64_t in, bool has_bias = false) {
    into_.push_back({prefix + name + ".weight", role, {out, in}});
    if (has_bias) into_.push_back({prefix + name + ".bias", TensorRole::kBias, {out}});
  }
  void norm(const std::string& name, int64_t width, bool has_bias) {
    into_.push_back({prefix + name + ".weight", TensorRole::kNormGain, {width}});
    if (has_bias) into_.push_back({prefix + name + ".bias", TensorRole::kBias, {width}});
  }

  std::string prefix;

 private:
  std::vector<DecoderTensor>& into_;
};

}  // namespace

bool is_hidden_matrix(TensorRole role) {
  switch (role) {
    case TensorRole::kEmbedding:
    case TensorRole::kHead:
    case TensorRole::kNormGain:
    case TensorRole::kBias:
    case TensorRole::kVision:
      return false;
    default:
      return true;
  }
}

std::vector<DecoderTensor> decoder_tensors(const DecoderSpec& spec) {
  const bool is_small = spec.architecture == "phi3small";
  const bool is_fused = is_small || spec.architecture == "phi3";
  const bool norm_bias = spec.norm == NormKind::kLayer;
  const int64_t hidden = spec.hidden_dim, ffn = spec.ffn_dim;
  const int64_t q = int64_t{spec.n_heads} * spec.head_dim, kv = int64_t{spec.n_kv_heads} * spec.head_dim;

  std::vector<DecoderTensor> all;
  Lister list(all);
  list.matrix("model.embed_tokens", TensorRole::kEmbedding, spec.vocab_size, hidden);
  for (int i = 0; i < spec.n_layers; ++i) {
    list.prefix = "model.layers." + std::to_string(i) + ".";
    list.norm("input_layernorm", hidden, norm_bias);
    if (is_fused) {
      list.matrix(is_small ? "self_attn.query_key_value" : "self_attn.qkv_proj", TensorRole::kQkv, q + 2 * kv, hidden,
                  spec.has_attention_bias);
    } else {
      list.matrix("self_attn.q_proj", TensorRole::kQuery, q, hidden, spec.has_attention_bias);
      list.matrix("self_attn.k_proj", TensorRole::kKey, kv, hidden, spec.has_attention_bias);
      list.matrix("self_attn.v_proj", TensorRole::kValue, kv, hidden, spec.has_attention_bias);
    }
    list.matrix(is_small ? "self_attn.dense" : "self_attn.o_proj", TensorRole::kAttentionOutput, hidden, q,
                spec.has_output_bias);
    list.norm("post_attention_layernorm", hidden, norm_bias);
    if (is_fused) {
      list.matrix(is_small ? "mlp.up_proj" : "mlp.gate_up_proj", TensorRole::kGateUp, 2 * ffn, hidden,
                  spec.has_ffn_bias);
    } else {
      list.matrix("mlp.gate_proj", TensorRole::kGate, ffn, hidden, spec.has_ffn_bias);
      list.matrix("mlp.up_proj", TensorRole::kUp, ffn, hidden, spec.has_ffn_bias);
    }
    list.matrix("mlp.down_proj", TensorRole::kDown, hidden, ffn, spec.has_ffn_bias);
  }
  list.prefix.clear();
  list.norm(is_small ? "model.final_layernorm" : "model.norm", hidden, norm_bias);
  if (!spec.tied_output) list.matrix("lm_head", TensorRole::kHead, spec.vocab_size, hidden);
  return all;
}

}  // namespace phial::spec
