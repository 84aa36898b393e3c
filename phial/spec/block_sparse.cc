#include "phial/spec/block_sparse.h"

#include <algorithm>

namespace phial::spec {

BlockSparseLists::BlockSparseLists(const BlockSparse& pattern, int n_heads, int n_kv_heads, int64_t n_positions)
    : pattern_(pattern),
      step_(pattern.head_step(n_heads)),
      heads_per_kv_(n_heads / n_kv_heads),
      entries_(static_cast<size_t>(n_kv_heads)) {
  const auto n_blocks = static_cast<int>((n_positions + pattern.block - 1) / pattern.block);
  for (int kv_head = 0; kv_head < n_kv_heads; ++kv_head) {
    std::vector<Entry>& entries = entries_[static_cast<size_t>(kv_head)];
    for (int block = 0; block < n_blocks; ++block) {
      uint64_t heads = 0;
      for (int r = 0; r < heads_per_kv_; ++r) {
        if (counts(kv_head * heads_per_kv_ + r, block)) heads |= uint64_t{1} << r;
      }
      if (heads != 0) entries.push_back({block, heads});
    }
  }
}

bool BlockSparseLists::counts(int head, int block) const {
  return (int64_t{block} + int64_t{head} * step_ + 1) % pattern_.stride == 0;
}

int BlockSparseLists::first_local(int query_block) const {
  return std::max(0, query_block - (pattern_.local_blocks - 1));
}

std::span<const BlockSparseLists::Entry> BlockSparseLists::far(int kv_head, int query_block) const {
  const std::vector<Entry>& all = entries_[static_cast<size_t>(kv_head)];
  const auto end = std::ranges::lower_bound(all, first_local(query_block), {}, &Entry::block);
  return {all.begin(), end};
}

int BlockSparseLists::n_before(int kv_head, int r, int block) const {
  // Multiples of the stride among the blocks' numbers, which begin at `shift`.
  const int64_t shift = int64_t{kv_head * heads_per_kv_ + r} * step_ + 1;
  return static_cast<int>((block - 1 + shift) / pattern_.stride - (shift - 1) / pattern_.stride);
}

bool BlockSparseLists::is_needed(int kv_head, int64_t first, int64_t last, int64_t position) const {
  const auto first_block = static_cast<int>(first / pattern_.block),
             last_block = static_cast<int>(last / pattern_.block);
  if (last_block >= first_local(static_cast<int>(position / pattern_.block))) return true;
  const std::vector<Entry>& all = entries_[static_cast<size_t>(kv_head)];
  const auto at = std::ranges::lower_bound(all, first_block, {}, &Entry::block);
  return at != all.end() && at->block <= last_block;
}

}  // namespace phial::spec
