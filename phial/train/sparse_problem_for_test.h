// Problems of block-sparse attention with their answers by attention with a dense mask, which is written here from the
// rule and not from the lists.
#pragma once

#include <vector>

#include "phial/train/block_sparse_attention.h"

namespace phial::train {

struct SparseCase {
  spec::BlockSparse pattern;
  int n_heads, n_kv_heads, width;
  std::vector<std::vector<int64_t>> rows;  // tokens of each document of each row
};

// Odd lengths, heads and blocks; documents shorter than a block; patterns of all sorts.
inline const SparseCase kSparseCases[] = {
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
  SparseProblem(const SparseCase& of, at::ScalarType type, at::Device device = at::kCPU) : scale(0.7 / of.width) {
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
    const auto random = [&](int64_t heads) {
      return at::randn({rows, heads, tokens, of.width}, at::kDouble).to(type).to(device);
    };
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

  // [B, H, T, T], where the inputs are; Phi-3 report, section 2.
  at::Tensor visible() const {
    const spec::BlockSparse& pattern = spec.block_sparse;
    using at::indexing::None;
    using at::indexing::Slice;
    const auto queries = [](const at::Tensor& of) { return of.index({Slice(), None, Slice(), None}); };
    const auto keys = [](const at::Tensor& of) { return of.index({Slice(), None, None, Slice()}); };
    const at::Device device = inputs[0].device();
    const at::Tensor positions = batch.positions.to(device), documents = batch.documents.to(device);
    const at::Tensor blocks = positions.div(pattern.block, "trunc");
    const at::Tensor heads = at::arange(spec.n_heads, at::kLong).to(device).view({1, -1, 1, 1});
    const at::Tensor counts =
        (keys(blocks) + heads * pattern.head_step(spec.n_heads) + 1).remainder(pattern.stride) == 0;
    return ((queries(blocks) - keys(blocks) < pattern.local_blocks) | counts) &
           (keys(positions) <= queries(positions)) & (keys(documents) == queries(documents));
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

inline double relative_error(const at::Tensor& found, const at::Tensor& wanted) {
  return ((found.to(at::kDouble) - wanted).abs().max() / wanted.abs().max()).item<double>();
}

}  // namespace phial::train
