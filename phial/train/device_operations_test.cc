// The kernels for CUDA devices. Attention is held to attention with a dense mask in double, in bf16 beside libtorch's
// own attention in bf16; the fused operations to libtorch's one by one. Skipped where there is no device.
#include "phial/train/device_operations.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "phial/train/cuda_device_for_test.h"
#include "phial/train/fused.h"
#include "phial/train/sparse_problem_for_test.h"

namespace phial::train {
namespace {

class NeedsCuda : public testing::Test {
 protected:
  void SetUp() override {
    if (const auto device = cuda_device(); !device) GTEST_SKIP() << device.error().text();
    at::manual_seed(5);
  }
};

// Blocks of a tile, of several, of parts; documents of a token more and less than a tile or two; wide and narrow heads.
const SparseCase kDeviceCases[] = {
    {{.block = 64, .local_blocks = 2, .stride = 3}, 4, 2, 128, {{300}, {300}}},
    {{.block = 64, .local_blocks = 1, .stride = 8}, 8, 2, 96, {{1, 63, 64, 65, 130, 7}}},
    {{.block = 64, .local_blocks = 3, .stride = 2, .same_for_heads = true}, 6, 3, 48, {{128, 127}, {129, 126}}},
    {{.block = 64, .local_blocks = 100, .stride = 1}, 4, 1, 112, {{700, 65, 400}}},  // dense
    {{.block = 16, .local_blocks = 3, .stride = 4}, 4, 1, 64, {{200, 57}}},
    {{.block = 4, .local_blocks = 2, .stride = 3}, 4, 2, 32, {{137}}},
    {{.block = 128, .local_blocks = 1, .stride = 2}, 2, 2, 80, {{515}}},
    {{.block = 100, .local_blocks = 2, .stride = 3}, 6, 3, 16, {{401}}},
    {{.block = 1, .local_blocks = 3, .stride = 4}, 4, 1, 8, {{77}}},
    {{.block = 2, .local_blocks = 1, .stride = 64}, 64, 1, 16, {{140}}},  // as many heads as a mask has bits
    {{.block = 64, .local_blocks = 1, .stride = 64}, 64, 1, 16, {{1000}}},
};

class CudaBlockSparseAttention : public NeedsCuda {};

std::string name_of(const SparseCase& each) {
  return "block " + std::to_string(each.pattern.block) + ", heads " + std::to_string(each.n_heads) + " of " +
         std::to_string(each.width);
}

// ||found - wanted|| / ||wanted||.
double mean_error(const at::Tensor& found, const at::Tensor& wanted) {
  return ((found.to(at::kDouble) - wanted).norm() / wanted.norm()).item<double>();
}

void expect_equal_in_f32(const SparseCase& each) {
  SCOPED_TRACE(name_of(each));
  const SparseProblem problem(each, at::kFloat, at::kCUDA);
  const auto found = problem.found(), wanted = problem.wanted();
  EXPECT_LE(relative_error(found[0], wanted[0]), 1e-5);
  for (size_t i = 1; i < 4; ++i) EXPECT_LE(relative_error(found[i], wanted[i]), 1e-4) << "input " << i;
}

TEST_F(CudaBlockSparseAttention, IsDenseMaskedAttentionWithItsGradients) {
  for (const SparseCase& each : kSparseCases) expect_equal_in_f32(each);
  for (const SparseCase& each : kDeviceCases) expect_equal_in_f32(each);
}

// libtorch's attention with the same mask, all in bf16.
std::vector<at::Tensor> of_libtorch(const SparseProblem& problem) {
  return problem.results(at::kBFloat16, [&](const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
    const int64_t group = problem.spec.n_heads / problem.spec.n_kv_heads;
    return at::scaled_dot_product_attention(q, k.repeat_interleave(group, 1), v.repeat_interleave(group, 1),
                                            problem.visible(), 0.0, false, problem.scale);
  });
}

// bf16 keeps 8 bits of a number: libtorch's own attention says how far off that leads.
void expect_as_near_as_libtorch(const SparseProblem& problem) {
  const auto found = problem.found(), wanted = problem.wanted(), theirs = of_libtorch(problem);
  for (size_t i = 0; i < 4; ++i) {
    const double error = mean_error(found[i], wanted[i]);
    EXPECT_EQ(found[i].scalar_type(), at::kBFloat16);
    EXPECT_LE(error, 1.5 * mean_error(theirs[i], wanted[i]) + 1e-3) << "result " << i;
    EXPECT_LE(error, 1e-2) << "result " << i;
  }
}

TEST_F(CudaBlockSparseAttention, InBfloat16IsAsNearAsLibtorchs) {
  for (const SparseCase& each : kDeviceCases) {
    SCOPED_TRACE(name_of(each));
    expect_as_near_as_libtorch(SparseProblem(each, at::kBFloat16, at::kCUDA));
  }
}

TEST_F(CudaBlockSparseAttention, InBfloat16IsAsNearAtTheSizesOfPhi3Small) {
  expect_as_near_as_libtorch(
      SparseProblem({{.block = 64, .local_blocks = 16, .stride = 8}, 32, 8, 128, {{1900}}}, at::kBFloat16, at::kCUDA));
}

// Heads whose rows tensor cores cannot read are computed in f32.
TEST_F(CudaBlockSparseAttention, InBfloat16OddHeadsAreRoundedAtTheEdgesOnly) {
  const SparseProblem problem(kSparseCases[1], at::kBFloat16, at::kCUDA);
  const auto found = problem.found(), wanted = problem.wanted();
  for (size_t i = 0; i < 4; ++i) EXPECT_LE(relative_error(found[i], wanted[i]), 0x1p-8) << i;
}

TEST_F(CudaBlockSparseAttention, InDoubleIsDenseMaskedAttention) {
  for (const SparseCase& each : kDeviceCases) {
    SCOPED_TRACE(name_of(each));
    const SparseProblem problem(each, at::kDouble, at::kCUDA);
    const auto found = problem.found(), wanted = problem.wanted();
    for (size_t i = 0; i < 4; ++i) EXPECT_LE(relative_error(found[i], wanted[i]), 1e-12) << i;
  }
}

// Central differences in double, along the axes of a few elements of each input.
TEST_F(CudaBlockSparseAttention, GradientsAreThoseOfFiniteDifferences) {
  const SparseProblem problem({{.block = 64, .local_blocks = 1, .stride = 3}, 4, 2, 24, {{200, 31}}}, at::kDouble,
                              at::kCUDA);
  const auto plan =
      block_sparse_plan(problem.spec.block_sparse, problem.spec.n_heads, problem.spec.n_kv_heads, problem.batch);
  const auto found = problem.found();
  const at::NoGradGuard no_grad;
  const auto value = [&] {
    const at::Tensor out =
        block_sparse_attention(problem.inputs[0], problem.inputs[1], problem.inputs[2], plan, problem.scale);
    return (out * problem.direction).sum().item<double>();
  };
  constexpr double kStep = 1e-5;
  for (size_t i = 0; i < 3; ++i) {
    const at::Tensor input = problem.inputs[i].flatten();  // its memory
    for (int64_t at = 0; at < input.numel(); at += input.numel() / 17 + 1) {
      const at::Tensor element = input[at];
      const double before = element.item<double>();
      element.fill_(before + kStep);
      const double above = value();
      element.fill_(before - kStep);
      const double below = value();
      element.fill_(before);
      EXPECT_NEAR(found[i + 1].flatten()[at].item<double>(), (above - below) / (2 * kStep), 1e-7) << i << " at " << at;
    }
  }
}

TEST_F(CudaBlockSparseAttention, TheSameTwiceIsTheSameBits) {
  for (const auto type : {at::kFloat, at::kBFloat16}) {
    const SparseProblem problem({{.block = 64, .local_blocks = 2, .stride = 4}, 8, 2, 128, {{900, 100}, {500, 500}}},
                                type, at::kCUDA);
    const auto wanted = problem.found();
    for (int turn = 0; turn < 5; ++turn) {
      const auto found = problem.found();
      for (size_t i = 0; i < 4; ++i) EXPECT_TRUE(at::equal(found[i], wanted[i])) << i << ", " << type;
    }
  }
}

TEST_F(CudaBlockSparseAttention, PaddingIsLeftOut) {
  for (const auto type : {at::kDouble, at::kBFloat16}) {
    SparseProblem problem(kDeviceCases[2], type, at::kCUDA);
    problem.batch.documents = problem.batch.documents.clone();
    problem.batch.documents[0].slice(0, 128).fill_(-1);
    const auto found = problem.found(), wanted = problem.wanted();
    const at::Tensor padding = (problem.batch.documents < 0).view({2, 1, -1, 1}).to(at::kCUDA);
    for (size_t i = 0; i < 4; ++i) {
      EXPECT_LE(relative_error(found[i], wanted[i].masked_fill(padding, 0)), type == at::kDouble ? 1e-12 : 2e-2);
      EXPECT_EQ(found[i].masked_select(padding).abs().max().item<double>(), 0);
    }
  }
}

// Tiles at a document's end reach into the next.
TEST_F(CudaBlockSparseAttention, WhatIsNoNumberStaysInItsDocument) {
  for (const auto type : {at::kFloat, at::kBFloat16}) {
    SparseProblem problem({{.block = 64, .local_blocks = 1, .stride = 2}, 4, 2, 64, {{100, 90, 110}}}, type, at::kCUDA);
    const auto wanted = problem.found();
    for (at::Tensor& input : problem.inputs) input.slice(2, 100, 190).fill_(std::numeric_limits<double>::quiet_NaN());
    const auto found = problem.found();
    for (size_t i = 0; i < 4; ++i) {
      EXPECT_TRUE(at::equal(found[i].slice(2, 0, 100), wanted[i].slice(2, 0, 100))) << i << ", " << type;
      EXPECT_TRUE(at::equal(found[i].slice(2, 190), wanted[i].slice(2, 190))) << i << ", " << type;
      EXPECT_TRUE(at::isnan(found[i].slice(2, 100, 190)).all().item<bool>()) << i << ", " << type;
    }
  }
}

// Rows that torch hands over in another order, as heads are before they are turned; parts of wider rows; rows that are
// not at 16 bytes.
TEST_F(CudaBlockSparseAttention, TakesTensorsOfAnyStrides) {
  for (const auto type : {at::kFloat, at::kBFloat16}) {
    SparseProblem problem(kDeviceCases[0], type, at::kCUDA);
    const auto wanted = problem.found();
    const auto expect_same = [&] {
      const auto found = problem.found();
      for (size_t i = 0; i < 4; ++i) EXPECT_TRUE(at::equal(found[i], wanted[i])) << i;
    };
    problem.direction = problem.direction.transpose(2, 3).contiguous().transpose(2, 3);
    for (at::Tensor& input : problem.inputs) input = input.transpose(1, 2).contiguous().transpose(1, 2);
    expect_same();
    for (const int64_t before : {8, 3}) {
      for (at::Tensor& input : problem.inputs) {
        input = at::constant_pad_nd(input, {before, 16 - before}).slice(3, before, before + input.size(3));
      }
      expect_same();
    }
  }
}

TEST_F(CudaBlockSparseAttention, SharpAttentionStaysFiniteAndRight) {
  SparseProblem problem(kDeviceCases[0], at::kBFloat16, at::kCUDA);
  problem.scale = 30;
  const auto found = problem.found(), wanted = problem.wanted();
  for (const at::Tensor& each : found) EXPECT_TRUE(each.isfinite().all().item<bool>());
  EXPECT_LE(mean_error(found[0], wanted[0]), 5e-3);
}

TEST_F(CudaBlockSparseAttention, WiderHeadsThanItTakesAreRefused) {
  const SparseProblem problem({{.block = 64, .local_blocks = 1, .stride = 2}, 2, 2, 136, {{100}}}, at::kBFloat16,
                              at::kCUDA);
  EXPECT_THROW(problem.found(), c10::Error);
}

using DeviceOperation = std::function<at::Tensor(const std::vector<at::Tensor>&)>;

class CudaFused : public NeedsCuda, public testing::WithParamInterface<at::ScalarType> {
 protected:
  double part() const { return GetParam() == at::kFloat ? 1e-5 : 1.2e-2; }  // of the largest
  static at::Tensor numbers(at::IntArrayRef shape, at::ScalarType type) {
    return at::randn(shape, at::kDouble).to(type).to(at::kCUDA);
  }

  // The output and the gradients of its product with a fixed direction.
  static std::vector<at::Tensor> results_of(const DeviceOperation& operation, const std::vector<at::Tensor>& inputs) {
    std::vector<at::Tensor> leaves;
    for (const at::Tensor& each : inputs) leaves.push_back(each.detach().clone().requires_grad_());
    const at::Tensor out = operation(leaves);
    const at::Tensor direction =
        at::arange(out.numel(), at::kDouble).cos().view(out.sizes()).to(out.scalar_type()).to(out.device());
    (out.to(at::kDouble) * direction).sum().backward();
    std::vector<at::Tensor> found = {out.detach().to(at::kDouble)};
    for (const at::Tensor& each : leaves) found.push_back(each.grad().to(at::kDouble));
    return found;
  }

  void expect_same(const DeviceOperation& ours, const DeviceOperation& theirs,
                   const std::vector<at::Tensor>& inputs) const {
    const auto found = results_of(ours, inputs), again = results_of(ours, inputs);
    const auto wanted = results_of(theirs, inputs);
    for (size_t i = 0; i < wanted.size(); ++i) {
      const double largest = wanted[i].abs().max().item<double>();
      EXPECT_LE((found[i] - wanted[i]).abs().max().item<double>(), part() * largest) << i;
      EXPECT_TRUE(at::equal(found[i], again[i])) << i;
    }
  }
};

TEST_P(CudaFused, RmsNormIsLibtorchs) {
  for (const int64_t width : {1, 7, 96, 1030, 4096}) {
    SCOPED_TRACE(width);
    expect_same([&](const auto& in) { return rms_norm(in[0], in[1], 1e-5, GetParam()); },
                [&](const auto& in) {
                  const at::Tensor x = in[0].to(at::kDouble);
                  const at::Tensor normal = x / (x.square().mean(-1, true) + 1e-5).sqrt();
                  return (normal * in[1].to(at::kDouble)).to(GetParam());
                },
                {numbers({3, 1000, width}, at::kFloat), numbers({width}, at::kFloat)});
  }
}

TEST_P(CudaFused, SwiGluIsLibtorchsInOneTensorAndInTwo) {
  for (const int64_t width : {1, 37, 1024}) {
    SCOPED_TRACE(width);
    const at::Tensor both = numbers({2, 50, 2 * width}, GetParam()) * 4;
    const auto gated = [](const at::Tensor& gate, const at::Tensor& up) {
      return at::silu(gate.to(at::kDouble)) * up.to(at::kDouble);
    };
    expect_same([](const auto& in) { return swiglu(in[0]); },
                [&](const auto& in) { return gated(in[0].slice(2, 0, width), in[0].slice(2, width)).to(GetParam()); },
                {both});
    expect_same([](const auto& in) { return swiglu(in[0], in[1]); },
                [&](const auto& in) { return gated(in[0], in[1]).to(GetParam()); },
                {both.slice(2, 0, width), both.slice(2, width)});
  }
}

TEST_P(CudaFused, RotationIsThatOfPairs) {
  for (const auto& [half, width] : {std::pair<int64_t, int64_t>{3, 8}, {64, 128}, {48, 96}, {16, 80}}) {
    SCOPED_TRACE(width);
    const int64_t pairs = half, E = width;
    const at::Tensor angles = (at::rand({2, 1, 110, pairs}) * 7).to(at::kCUDA), cos = angles.cos(), sin = angles.sin();
    const auto heads_of = [&](const at::Tensor& in) { return in.view({2, 110, 4, E}).transpose(1, 2); };
    expect_same([&](const auto& in) { return rotated(heads_of(in[0]), cos, sin); },
                [&](const auto& in) {
                  const at::Tensor heads = heads_of(in[0]).to(at::kDouble);
                  const at::Tensor a = heads.slice(3, 0, pairs), b = heads.slice(3, pairs, 2 * pairs);
                  return at::cat({a * cos - b * sin, b * cos + a * sin, heads.slice(3, 2 * pairs)}, 3).to(GetParam());
                },
                {numbers({2, 110, 4 * E}, GetParam())});
  }
}

TEST_P(CudaFused, WhatIsNoNumberStaysNone) {
  const at::Tensor x = at::full({1, 8}, std::numeric_limits<float>::quiet_NaN()).to(at::kCUDA);
  EXPECT_TRUE(at::isnan(rms_norm(x, at::ones_like(x[0]), 1e-5, GetParam())).all().item<bool>());
  EXPECT_TRUE(at::isnan(swiglu(x.to(GetParam()))).all().item<bool>());
}

INSTANTIATE_TEST_SUITE_P(Types, CudaFused, testing::Values(at::kFloat, at::kBFloat16),
                         [](const auto& tested) { return tested.param == at::kFloat ? "F32" : "Bf16"; });

}  // namespace
}  // namespace phial::train
