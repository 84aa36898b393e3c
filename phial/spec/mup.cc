#include "phial/spec/mup.h"

#include <cmath>

namespace phial::spec {
namespace {

// How many times wider the input of such a matrix is than the base's.
double width_of(const DecoderSpec& spec, const MupBase& base, TensorRole role) {
  if (role == TensorRole::kDown) return static_cast<double>(spec.ffn_dim) / base.ffn_dim;
  if (role == TensorRole::kAttentionOutput && base.n_heads != 0) {
    return static_cast<double>(spec.n_heads) * spec.head_dim / (static_cast<double>(base.n_heads) * base.head_dim);
  }
  return static_cast<double>(spec.hidden_dim) / base.hidden_dim;
}

}  // namespace

TensorRule tensor_rule(const DecoderSpec& spec, const std::optional<MupBase>& base, const InitRule& init,
                       TensorRole role) {
  if (role == TensorRole::kNormGain || role == TensorRole::kBias) return {.init_std = 0, .rate = 1, .decay = 0};
  TensorRule rule = {.init_std = init.sigma, .rate = 1, .decay = 1};
  if (is_hidden_matrix(role) && base) {
    const double m = width_of(spec, *base, role);
    rule = {.init_std = init.sigma / std::sqrt(m), .rate = 1 / m, .decay = m};
  }
  if (init.by_depth && (role == TensorRole::kAttentionOutput || role == TensorRole::kDown)) {
    rule.init_std /= std::sqrt(2.0 * spec.n_layers);
  }
  if ((role == TensorRole::kHead && init.zero_head) || (role == TensorRole::kQuery && init.zero_query)) {
    rule.init_std = 0;
  }
  return rule;
}

DecoderSpec with_mup(DecoderSpec spec, const MupBase& base, double attention_constant) {
  const double c = attention_constant != 0 ? attention_constant : std::sqrt(static_cast<double>(base.head_dim));
  spec.attention_scale = static_cast<float>(c / spec.head_dim);
  spec.logit_divisor = static_cast<float>(static_cast<double>(spec.hidden_dim) / base.hidden_dim);
  return spec;
}

}  // namespace phial::spec
