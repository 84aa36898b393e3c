#include "phial/train/attention_mask.h"

#include "phial/spec/block_sparse.h"

namespace phial::train {
namespace {

using at::indexing::None;
using at::indexing::Slice;

// Blocks that a head's query sees, [H, query blocks, key blocks]; the causal rule within a block is not in it.
at::Tensor visible_blocks(const spec::DecoderSpec& spec, int64_t n_positions) {
  const spec::BlockSparseLists lists(spec.block_sparse, spec.n_heads, spec.n_kv_heads, n_positions);
  const int64_t n_blocks = (n_positions - 1) / spec.block_sparse.block + 1;
  const int heads_per_kv = spec.n_heads / spec.n_kv_heads;
  at::Tensor visible = at::zeros({spec.n_heads, n_blocks, n_blocks}, at::kBool);
  auto seen = visible.accessor<bool, 3>();
  for (int head = 0; head < spec.n_heads; ++head) {
    for (int query = 0; query < static_cast<int>(n_blocks); ++query) {
      for (int key = lists.first_local(query); key <= query; ++key) seen[head][query][key] = true;
      for (const auto& entry : lists.far(head / heads_per_kv, query)) {
        if (((entry.heads >> (head % heads_per_kv)) & 1) != 0) seen[head][query][entry.block] = true;
      }
    }
  }
  return visible;
}

}  // namespace

AttentionMasks attention_masks(const spec::DecoderSpec& spec, const Batch& batch) {
  const int64_t longest = batch.positions.max().item<int64_t>() + 1;
  const bool has_window = spec.sliding_window > 0 && longest > spec.sliding_window;
  const bool is_sparse = spec.block_sparse.active() && longest > spec.block_sparse.dense_tokens();
  AttentionMasks masks;
  if (batch.one_document_a_row && !has_window && !is_sparse) return masks;

  const auto of_queries = [](const at::Tensor& rows) { return rows.index({Slice(), Slice(), None}); };
  const auto of_keys = [](const at::Tensor& rows) { return rows.index({Slice(), None, Slice()}); };
  const at::Tensor positions = batch.positions.to(at::kInt);  // [B, T, T] of them below: half the memory
  const at::Tensor distance = of_queries(positions) - of_keys(positions);
  at::Tensor allowed = (distance >= 0) & (of_queries(batch.documents) == of_keys(batch.documents));
  if (has_window) allowed = allowed & (distance < spec.sliding_window);
  masks.dense = allowed.unsqueeze(1);
  if (is_sparse) {
    const at::Tensor blocks = batch.positions.div(spec.block_sparse.block, "trunc");
    const at::Tensor visible = visible_blocks(spec, longest).index({Slice(), of_queries(blocks), of_keys(blocks)});
    masks.sparse = visible.transpose(0, 1) & masks.dense;
  }
  return masks;
}

}  // namespace phial::train
