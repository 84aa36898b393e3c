// Held to libtorch's operations one by one, forwards and backwards.
#include "phial/train/fused.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <functional>
#include <vector>

namespace phial::train {
namespace {

using Operation = std::function<at::Tensor(const std::vector<at::Tensor>&)>;

// The output and the gradients of its product with a fixed direction.
std::vector<at::Tensor> results_of(const Operation& operation, const std::vector<at::Tensor>& inputs) {
  std::vector<at::Tensor> leaves;
  for (const at::Tensor& each : inputs) leaves.push_back(each.detach().clone().requires_grad_());
  const at::Tensor out = operation(leaves);
  const at::Tensor direction = at::arange(out.numel(), at::kDouble).cos().view_as(out).to(out.scalar_type());
  (out * direction).to(at::kFloat).sum().backward();
  std::vector<at::Tensor> found = {out.detach().to(at::kFloat)};
  for (const at::Tensor& each : leaves) found.push_back(each.grad().to(at::kFloat));
  return found;
}

void expect_same(const Operation& ours, const Operation& theirs, const std::vector<at::Tensor>& inputs, double part) {
  const auto found = results_of(ours, inputs), wanted = results_of(theirs, inputs);
  for (size_t i = 0; i < wanted.size(); ++i) {
    const double largest = wanted[i].abs().max().item<double>();
    EXPECT_LE((found[i] - wanted[i]).abs().max().item<double>(), part * largest) << i;
  }
  at::set_num_threads(1);
  const auto alone = results_of(ours, inputs);
  at::set_num_threads(3);
  const auto together = results_of(ours, inputs);
  for (size_t i = 0; i < alone.size(); ++i) EXPECT_TRUE(at::equal(alone[i], together[i])) << i;
}

at::Tensor normal_numbers(at::IntArrayRef shape, at::ScalarType type) { return at::randn(shape, at::kFloat).to(type); }

constexpr double kOfF32 = 1e-5, kOfBf16 = 1.2e-2;  // of the largest; bf16 rounds by up to 2^-8 each time

class Fused : public testing::TestWithParam<at::ScalarType> {
 protected:
  Fused() { at::manual_seed(5); }
  double part() const { return GetParam() == at::kFloat ? kOfF32 : kOfBf16; }
};

TEST_P(Fused, RmsNormIsLibtorchs) {
  for (const int64_t width : {1, 7, 96}) {
    expect_same([&](const auto& in) { return rms_norm(in[0], in[1], 1e-5, GetParam()); },
                [&](const auto& in) { return at::rms_norm(in[0], {width}, in[1], 1e-5).to(GetParam()); },
                {normal_numbers({3, 67, width}, at::kFloat), normal_numbers({width}, at::kFloat)}, part());
  }
}

TEST_P(Fused, SwiGluIsLibtorchsInOneTensorAndInTwo) {
  for (const int64_t width : {1, 37}) {
    const at::Tensor both = normal_numbers({2, 5, 2 * width}, GetParam()) * 4;
    const Operation theirs = [&](const auto& in) {
      const at::Tensor wide = in[0].to(at::kFloat);
      return (at::silu(wide.slice(2, 0, width)) * wide.slice(2, width)).to(GetParam());
    };
    expect_same([](const auto& in) { return swiglu(in[0]); }, theirs, {both}, part());
    expect_same([](const auto& in) { return swiglu(in[0], in[1]); },
                [](const auto& in) { return (at::silu(in[0].to(at::kFloat)) * in[1].to(at::kFloat)).to(GetParam()); },
                {both.slice(2, 0, width), both.slice(2, width)}, part());
  }
}

TEST_P(Fused, RotationIsThatOfPairs) {
  const int64_t half = 3, width = 8;  // two numbers of a head stay as they are
  const at::Tensor angles = at::rand({2, 1, 11, half}) * 7, cos = angles.cos(), sin = angles.sin();
  const at::Tensor rows = normal_numbers({2, 11, 4 * width}, GetParam());
  const auto heads_of = [&](const at::Tensor& in) { return in.view({2, 11, 4, width}).transpose(1, 2); };
  expect_same([&](const auto& in) { return rotated(heads_of(in[0]), cos, sin); },
              [&](const auto& in) {
                const at::Tensor heads = heads_of(in[0]).to(at::kFloat);
                const at::Tensor a = heads.slice(3, 0, half), b = heads.slice(3, half, 2 * half);
                return at::cat({a * cos - b * sin, b * cos + a * sin, heads.slice(3, 2 * half)}, 3).to(GetParam());
              },
              {rows}, part());
}

TEST_P(Fused, WhatIsNoNumberStaysNone) {
  const at::Tensor x = at::full({1, 8}, std::numeric_limits<float>::quiet_NaN());
  EXPECT_TRUE(at::isnan(rms_norm(x, at::ones({8}), 1e-5, GetParam())).all().item<bool>());
  EXPECT_TRUE(at::isnan(swiglu(x.to(GetParam()))).all().item<bool>());
}

INSTANTIATE_TEST_SUITE_P(Types, Fused, testing::Values(at::kFloat, at::kBFloat16),
                         [](const auto& tested) { return tested.param == at::kFloat ? "F32" : "Bf16"; });

}  // namespace
}  // namespace phial::train
