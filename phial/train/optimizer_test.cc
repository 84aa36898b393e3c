#include "phial/train/optimizer.h"

#include <gtest/gtest.h>

#include <cmath>

namespace phial::train {
namespace {

spec::DecoderSpec narrow() {
  spec::DecoderSpec spec;
  spec.architecture = "llama";
  spec.n_layers = 1;
  spec.hidden_dim = 128;
  spec.ffn_dim = 256;
  spec.n_heads = spec.n_kv_heads = 4;
  spec.head_dim = 32;
  spec.vocab_size = 10;
  return spec;
}
constexpr spec::MupBase kBase = {.hidden_dim = 32, .ffn_dim = 64, .n_heads = 1, .head_dim = 32};

// AdamW as the paper writes it, in double.
struct ByTheBook {
  double value, mean = 0, square = 0;
  void step(int t, double gradient, double rate, double decay, const AdamWOptions& options) {
    mean = options.beta1 * mean + (1 - options.beta1) * gradient;
    square = options.beta2 * square + (1 - options.beta2) * gradient * gradient;
    const double m = mean / (1 - std::pow(options.beta1, t)), v = square / (1 - std::pow(options.beta2, t));
    value -= rate * (m / (std::sqrt(v) + options.epsilon) + decay * value);
  }
};

TEST(AdamW, IsThePapersWithTheRatesAndDecaysOfMup) {
  const AdamWOptions options = {.clip = 0};
  struct Case {
    spec::TensorRole role;
    double rate, decay;
  };
  for (const Case& c : {Case{spec::TensorRole::kQuery, 0.25, 4}, Case{spec::TensorRole::kEmbedding, 1, 1},
                        Case{spec::TensorRole::kNormGain, 1, 0}}) {
    at::Tensor value = at::full({3}, 0.7F).requires_grad_();
    AdamW optimizer({{"x", c.role, value}}, narrow(), kBase, options);
    ByTheBook wanted{0.7};
    for (int t = 1; t <= 20; ++t) {
      const double gradient = std::sin(t * 1.3) + 0.2;
      value.mutable_grad() = at::full({3}, gradient, at::kFloat);
      optimizer.step(0.01, optimizer.gradient_norm());
      wanted.step(t, gradient, 0.01 * c.rate, 0.1 * c.decay, options);
      EXPECT_NEAR(value[1].item<double>(), wanted.value, 2e-6) << t;
    }
  }
}

TEST(AdamW, ScalesGradientsDownToTheLargestNorm) {
  at::Tensor a = at::zeros({2}).requires_grad_(), b = at::zeros({2}).requires_grad_();
  AdamW optimizer({{"a", spec::TensorRole::kQuery, a}, {"b", spec::TensorRole::kBias, b}}, narrow(), std::nullopt,
                  {.clip = 1});
  a.mutable_grad() = at::full({2}, 3.0F);
  b.mutable_grad() = at::full({2}, 4.0F);
  const double norm = optimizer.gradient_norm();
  EXPECT_NEAR(norm, std::sqrt(50.0), 1e-6);
  optimizer.step(0.1, norm);
  EXPECT_NEAR(optimizer.gradient_norm(), 1, 1e-6);
  optimizer.step(0.1, optimizer.gradient_norm());  // already small enough
  EXPECT_NEAR(a.grad()[0].item<float>(), 3 / std::sqrt(50.0), 1e-6);
}

}  // namespace
}  // namespace phial::train
