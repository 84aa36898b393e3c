// The block-sparse layer of Phi-3-small that benches measure.
#pragma once

#include <bit>

#include "phial/spec/block_sparse.h"
#include "phial/spec/variants.h"
#include "phial/train/batch.h"

namespace phial::train {

inline spec::DecoderSpec phi3_small() {
  for (const spec::DecoderSpec& variant : spec::variants()) {
    if (variant.name == "phi3-small-128k") return variant;
  }
  return {};
}

// Block pairs of all heads: those that are seen, and those before or at a query's.
struct BlockPairs {
  double kept = 0, all = 0;
};

inline BlockPairs block_pairs(const spec::DecoderSpec& spec, int64_t tokens) {
  const spec::BlockSparseLists lists(spec.block_sparse, spec.n_heads, spec.n_kv_heads, tokens);
  BlockPairs pairs;
  for (int block = 0; block < tokens / spec.block_sparse.block; ++block) {
    pairs.all += (block + 1) * spec.n_heads;
    pairs.kept += (block - lists.first_local(block) + 1) * spec.n_heads;
    for (int head = 0; head < spec.n_kv_heads; ++head) {
      for (const auto& entry : lists.far(head, block)) pairs.kept += std::popcount(entry.heads);
    }
  }
  return pairs;
}

// The same layer where every block is near.
inline void keep_all_blocks(spec::DecoderSpec& spec, int64_t tokens) {
  spec.block_sparse.local_blocks = static_cast<int>(tokens / spec.block_sparse.block) + 1;
}

// One row of one document, for a plan.
inline Batch one_document(int64_t tokens) {
  Batch batch;
  batch.positions = at::arange(tokens, at::kLong).unsqueeze(0);
  batch.documents = at::zeros_like(batch.positions);
  return batch;
}

}  // namespace phial::train
