// Held to attention with a dense mask, which is written here from the rule and not from the lists.
#include "phial/train/block_sparse_attention.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

namespace phial::train {
namespace {

using at::indexing::None;
using at::indexing::Slice;

struct SparseCase {
  spec::BlockSparse pattern;
  int n_heads, n_kv_heads, width;
  std::vector<std::vector<int64_t>> rows;  // tokens of each document of each row
};

// Odd lengths, heads and blocks; documents shorter than a block; patterns of all sorts.
const SparseCase kSparseCases[] = {
    {{.block = 4, .local_blocks = 2, .stride = 3}, 4, 2, 8, {{37}, {37}}},
    {{.block = 4, .local_blocks = 1, .stride = 2}, 6, 2, 5, {{3, 1, 22, 5}, {31}}},
    {{.block = 1, .local_blocks = 3, .stride = 4}, 4, 1, 3, {{17}}},
    {{.block = 7, .local_blocks = 2, .stride = 8}, 3, 3, 16, {{60, 9}}},
    {{.block = 5, .local_blocks = 1, .stride = 1}, 2, 1, 1, {{23}}},
    {{.block = 3, .local_blocks = 1, .stride = 5, .same_for_heads = true}, 8, 2, 6, {{30, 11}}},
    {{.block = 16, .local_blocks = 4, .stride = 2}, 2, 2, 4, {{20}}},    // all is near
    {{.block = 2, .local_blocks = 1, .stride = 64}, 64, 1, 2, {{140}}},  // as many heads as a mask has bits
};

struct SparseProblem {
  explicit SparseProblem(const SparseCase& of, at::ScalarType type) : scale(0.7 / of.width) {
    spec.n_heads = of.n_heads;
    spec.n_kv_heads = of.n_kv_heads;
    spec.head_dim = of.width;
    spec.block_sparse = of.pattern;
    std::vector<at::Tensor> positions, documents;
    for (const auto& row : of.rows) {
      std::vector<at::Tensor> starts, numbers;
      for (const int64_t tokens : row) {
        starts.push_back(at::arange(tokens, at::kLong));
        numbers.push_back(at::full({tokens}, static_cast<int64_t>(numbers.size()), at::kLong));
      }
      positions.push_back(at::cat(starts));
      documents.push_back(at::cat(numbers));
    }
    batch.positions = at::stack(positions);
    batch.documents = at::stack(documents);
    const int64_t rows = batch.positions.size(0), tokens = batch.positions.size(1);
    at::manual_seed(1);
    const auto random = [&](int64_t heads) { return at::randn({rows, heads, tokens, of.width}, at::kDouble).to(type); };
    inputs = {random(of.n_heads), random(of.n_kv_heads), random(of.n_kv_heads)};
    direction = random(of.n_heads);
  }

  // The output and the gradients of its product with `direction`.
  template <class Attention>
  std::vector<at::Tensor> results(at::ScalarType type, Attention attention) const {
    std::vector<at::Tensor> leaves;
    for (const at::Tensor& input : inputs) leaves.push_back(input.to(type, false, true).requires_grad_());
    const at::Tensor out = attention(leaves[0], leaves[1], leaves[2]);
    out.backward(direction.to(type));
    return {out.detach(), leaves[0].grad(), leaves[1].grad(), leaves[2].grad()};
  }

  std::vector<at::Tensor> found() const {
    return results(inputs[0].scalar_type(), [&](const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
      return block_sparse_attention(q, k, v, block_sparse_plan(spec.block_sparse, spec.n_heads, spec.n_kv_heads, batch),
                                    scale);
    });
  }

  // [B, H, T, T]; Phi-3 report, section 2.
  at::Tensor visible() const {
    const spec::BlockSparse& pattern = spec.block_sparse;
    const auto queries = [](const at::Tensor& of) { return of.index({Slice(), None, Slice(), None}); };
    const auto keys = [](const at::Tensor& of) { return of.index({Slice(), None, None, Slice()}); };
    const at::Tensor blocks = batch.positions.div(pattern.block, "trunc");
    const at::Tensor heads = at::arange(spec.n_heads, at::kLong).view({1, -1, 1, 1});
    const at::Tensor counts =
        (keys(blocks) + heads * pattern.head_step(spec.n_heads) + 1).remainder(pattern.stride) == 0;
    return ((queries(blocks) - keys(blocks) < pattern.local_blocks) | counts) &
           (keys(batch.positions) <= queries(batch.positions)) & (keys(batch.documents) == queries(batch.documents));
  }

  std::vector<at::Tensor> wanted() const {
    return results(at::kDouble, [&](const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
      const int64_t group = spec.n_heads / spec.n_kv_heads;
      const at::Tensor scores = q.matmul(k.repeat_interleave(group, 1).transpose(2, 3)) * scale;
      const at::Tensor weights = scores.masked_fill(visible().logical_not(), -INFINITY).softmax(3);
      return weights.matmul(v.repeat_interleave(group, 1));
    });
  }

  spec::DecoderSpec spec;
  Batch batch;
  double scale;
  std::vector<at::Tensor> inputs;
  at::Tensor direction;
};

double relative_error(const at::Tensor& found, const at::Tensor& wanted) {
  return ((found.to(at::kDouble) - wanted).abs().max() / wanted.abs().max()).item<double>();
}

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
