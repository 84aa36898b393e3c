// Held to attention with a dense mask.
#include "phial/train/block_sparse_attention.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include "phial/train/sparse_problem_for_test.h"

namespace phial::train {
namespace {

TEST(BlockSparseAttention, IsDenseMaskedAttentionWithItsGradients) {
  for (const SparseCase& each : kSparseCases) {
    const SparseProblem problem(each, at::kFloat);
    const auto found = problem.found(), wanted = problem.wanted();
    EXPECT_LE(relative_error(found[0], wanted[0]), 1e-5) << "block " << each.pattern.block;
    for (size_t i = 1; i < 4; ++i) {
      EXPECT_LE(relative_error(found[i], wanted[i]), 1e-4) << "block " << each.pattern.block << ", input " << i;
    }
  }
}

// The true sizes of a head of Phi-3-small.
TEST(BlockSparseAttention, IsDenseMaskedAttentionAtTheSizesOfPhi3Small) {
  const SparseProblem problem({{.block = 64, .local_blocks = 2, .stride = 8}, 8, 2, 128, {{700}}}, at::kFloat);
  const auto found = problem.found(), wanted = problem.wanted();
  EXPECT_LE(relative_error(found[0], wanted[0]), 1e-5);
  for (size_t i = 1; i < 4; ++i) EXPECT_LE(relative_error(found[i], wanted[i]), 1e-4) << i;
}

// Central differences in double, along the axes of a few elements of each input.
TEST(BlockSparseAttention, GradientsAreThoseOfFiniteDifferences) {
  const at::NoGradGuard no_grad;
  for (const SparseCase& each : kSparseCases) {
    const SparseProblem problem(each, at::kDouble);
    const auto plan =
        block_sparse_plan(problem.spec.block_sparse, problem.spec.n_heads, problem.spec.n_kv_heads, problem.batch);
    const auto value = [&] {
      const at::Tensor out =
          block_sparse_attention(problem.inputs[0], problem.inputs[1], problem.inputs[2], plan, problem.scale);
      return (out * problem.direction).sum().item<double>();
    };
    std::vector<at::Tensor> found;
    {
      const at::AutoGradMode with_grad(true);
      found = problem.found();
    }
    for (size_t i = 0; i < 3; ++i) {
      const at::Tensor input = problem.inputs[i].flatten();  // its memory
      for (int64_t at = 0; at < input.numel(); at += input.numel() / 17 + 1) {
        constexpr double kStep = 1e-5;
        double& element = input.data_ptr<double>()[at];
        const double before = element;
        element = before + kStep;
        const double above = value();
        element = before - kStep;
        const double below = value();
        element = before;
        EXPECT_NEAR(found[i + 1].flatten()[at].item<double>(), (above - below) / (2 * kStep), 1e-7)
            << "block " << each.pattern.block << ", input " << i << " at " << at;
      }
    }
  }
}

TEST(BlockSparseAttention, PaddingIsLeftOut) {
  const SparseCase& each = kSparseCases[1];
  SparseProblem problem(each, at::kDouble);
  problem.batch.documents = problem.batch.documents.clone();
  problem.batch.documents[0].slice(0, 4, 26).fill_(-1);  // its longest document
  EXPECT_EQ(block_sparse_plan(problem.spec.block_sparse, problem.spec.n_heads, problem.spec.n_kv_heads, problem.batch)
                ->documents.size(),
            4U);
  const auto found = problem.found(), wanted = problem.wanted();
  const at::Tensor padding = (problem.batch.documents < 0).view({2, 1, 31, 1});
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_LE(relative_error(found[i], wanted[i].masked_fill(padding, 0)), 1e-12);
    EXPECT_EQ(found[i].masked_select(padding).abs().max().item<double>(), 0);
  }
}

TEST(BlockSparseAttention, SecondDerivativesAreRefused) {
  const SparseProblem problem(kSparseCases[1], at::kFloat);
  std::vector<at::Tensor> leaves;
  for (const at::Tensor& input : problem.inputs) leaves.push_back(input.clone().requires_grad_());
  const at::Tensor out = block_sparse_attention(
      leaves[0], leaves[1], leaves[2],
      block_sparse_plan(problem.spec.block_sparse, problem.spec.n_heads, problem.spec.n_kv_heads, problem.batch),
      problem.scale);
  EXPECT_THROW(torch::autograd::grad({out.sum()}, leaves, {}, std::nullopt, /*create_graph=*/true), c10::Error);
}

TEST(BlockSparseAttention, InDoubleItIsDenseMaskedAttentionExactly) {
  for (const SparseCase& each : kSparseCases) {
    const SparseProblem problem(each, at::kDouble);
    const auto found = problem.found(), wanted = problem.wanted();
    for (size_t i = 0; i < 4; ++i) EXPECT_LE(relative_error(found[i], wanted[i]), 1e-12) << each.pattern.block;
  }
}

TEST(BlockSparseAttention, BitsDoNotDependOnThreads) {
  const SparseProblem problem({{.block = 8, .local_blocks = 2, .stride = 3}, 8, 4, 24, {{70, 3, 127}, {200}}},
                              at::kFloat);
  const int before = at::get_num_threads();
  at::set_num_threads(1);
  const auto wanted = problem.found();
  for (const int threads : {2, 5}) {
    at::set_num_threads(threads);
    const auto found = problem.found();
    for (size_t i = 0; i < 4; ++i) EXPECT_TRUE(at::equal(found[i], wanted[i])) << threads << " threads";
  }
  at::set_num_threads(before);
}

// bfloat16 keeps 8 bits of a number; what is between is f32.
TEST(BlockSparseAttention, InBfloat16OnlyTheEdgesAreRounded) {
  const SparseProblem problem(kSparseCases[1], at::kBFloat16);
  const auto found = problem.found(), wanted = problem.wanted();
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(found[i].scalar_type(), at::kBFloat16);
    EXPECT_LE(relative_error(found[i], wanted[i]), 0x1p-8);
  }
}

// Rows that torch hands over in another order, as heads are before they are turned.
TEST(BlockSparseAttention, TakesTensorsOfAnyStrides) {
  SparseProblem problem(kSparseCases[0], at::kFloat);
  const auto wanted = problem.found();
  for (at::Tensor& input : problem.inputs) input = input.transpose(1, 2).contiguous().transpose(1, 2);
  problem.direction = problem.direction.transpose(2, 3).contiguous().transpose(2, 3);
  const auto found = problem.found();
  for (size_t i = 0; i < 4; ++i) EXPECT_TRUE(at::equal(found[i], wanted[i])) << i;
}

TEST(BlockSparseAttention, SharpAttentionStaysFinite) {
  SparseProblem problem(kSparseCases[0], at::kFloat);
  problem.scale = 200;
  for (const at::Tensor& each : problem.found()) EXPECT_TRUE(each.isfinite().all().item<bool>());
}

}  // namespace
}  // namespace phial::train
