// Attention of the block-sparse layers with its gradients: only blocks that a head sees are computed, and memory is
// linear in the sequence.
//
// On processors queries go block by block over the lists of spec/block_sparse, by online softmax; query heads that
// share a key-value head go together. Forwards keeps each row's log-sum-exp, backwards computes the scores anew from
// it. One thread computes all of one key-value head of one document, so that no two add to the same gradient: results
// have the same bits for any number of threads. On CUDA devices tiles do so (kernels/cuda/block_sparse.h): bf16
// products on tensor cores, heads up to 128 wide. Sources: FlashAttention-2 (arXiv 2307.08691); Phi-3 report (arXiv
// 2404.14219) section 2. Threads: any.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "phial/spec/block_sparse.h"
#include "phial/spec/spec.h"
#include "phial/train/batch.h"
#include "phial/train/torch.h"

namespace phial::train {

struct TilesOnDevice;

// What the block-sparse layers of a pass share: who sees whom. Blocks are those of a document's own positions, and a
// document sees no other, so each is a sequence of its own. Immutable.
struct BlockSparsePlan {
  spec::BlockSparseLists lists;
  std::vector<DocumentInBatch> documents;  // longest first

  // The lists on the CUDA device that asked last; device_operations_cuda.cc's own.
  mutable std::mutex uploading = {};
  mutable std::shared_ptr<const TilesOnDevice> uploaded = {};
};

// Padding (document -1) is in none. Promise: the pattern is active, and not all of the batch is padding.
std::shared_ptr<const BlockSparsePlan> block_sparse_plan(const spec::BlockSparse& pattern, int n_heads, int n_kv_heads,
                                                         const Batch& batch);

// queries: [B, H, T, E]; keys, values: [B, K, T, E]; all of one type. Returns [B, H, T, E] of that type. Double is
// computed in double, all else in f32 (on CUDA devices bf16 products of weights are of weights in bf16). Differentiable
// once in all three: backward with create_graph throws. Padding: 0.
at::Tensor block_sparse_attention(const at::Tensor& queries, const at::Tensor& keys, const at::Tensor& values,
                                  const std::shared_ptr<const BlockSparsePlan>& plan, double scale);

}  // namespace phial::train
