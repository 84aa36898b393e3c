#include "phial/train/block_sparse_tiles.h"

#include <algorithm>
#include <cstdint>
#include <utility>

namespace phial::train {
namespace {

using kernels::cuda::kQueryTiles;
using kernels::cuda::kTileTokens;

int n_tiles_of(int64_t tokens) { return static_cast<int>((tokens - 1) / kTileTokens + 1); }

// A document, a tile of it, and how much there is to do.
struct WorkItem {
  int document, tile;
  int64_t steps;
};

void append_longest_first(std::vector<WorkItem> items, std::vector<int>& to) {
  std::ranges::stable_sort(items, std::ranges::greater{}, &WorkItem::steps);
  for (const WorkItem& item : items) to.insert(to.end(), {item.document, item.tile});
}

}  // namespace

BlockSparseTiles::BlockSparseTiles(const BlockSparsePlan& plan, int n_heads, int n_kv_heads) {
  const spec::BlockSparse& pattern = plan.lists.pattern();
  const int64_t longest = plan.documents.front().tokens;
  sizes_.n_heads = n_heads;
  sizes_.n_kv_heads = n_kv_heads;
  sizes_.n_tiles = n_tiles_of(longest);
  sizes_.block = pattern.block;
  sizes_.local_blocks = pattern.local_blocks;
  sizes_.stride = pattern.stride;
  sizes_.head_step = pattern.head_step(n_heads);
  sizes_.exact = pattern.block % kTileTokens == 0 || pattern.dense_tokens() >= longest;
  add_lists(plan.lists);
  add_work(plan.documents);
}

void BlockSparseTiles::add_lists(const spec::BlockSparseLists& lists) {
  const int64_t block = lists.pattern().block, local = lists.pattern().local_blocks;
  const int n_tiles = sizes_.n_tiles, group = sizes_.n_heads / sizes_.n_kv_heads;
  // From this block on every block that the lists reach to is far.
  const auto behind_all = static_cast<int>((int64_t{n_tiles} * kTileTokens - 1) / block + local);
  std::vector<std::vector<int>> far(static_cast<size_t>(sizes_.n_heads));
  for (int head = 0; head < sizes_.n_heads; ++head) {
    std::vector<int>& of_head = far[static_cast<size_t>(head)];
    for (const auto& entry : lists.far(head / group, behind_all)) {
      if ((entry.heads >> (head % group) & 1) == 0) continue;
      const auto first = static_cast<int>(entry.block * block / kTileTokens);
      const auto last = static_cast<int>(std::min<int64_t>(((entry.block + 1) * block - 1) / kTileTokens, n_tiles - 1));
      for (int tile = first; tile <= last; ++tile) {
        if (of_head.empty() || of_head.back() < tile) of_head.push_back(tile);
      }
    }
    sizes_.max_far = std::max(sizes_.max_far, static_cast<int>(of_head.size()));
  }
  far_ = numbers_.size();
  for (const std::vector<int>& of_head : far) {
    numbers_.insert(numbers_.end(), of_head.begin(), of_head.end());
    numbers_.resize(numbers_.size() + static_cast<size_t>(sizes_.max_far) - of_head.size(), 0);
  }
  far_before_ = numbers_.size();
  for (const std::vector<int>& of_head : far) {
    for (int tile = 0; tile <= n_tiles; ++tile) {
      numbers_.push_back(static_cast<int>(std::ranges::lower_bound(of_head, tile) - of_head.begin()));
    }
  }
  first_near_ = numbers_.size();
  for (int64_t tile = 0; tile < n_tiles; ++tile) {
    const int64_t first_block = std::max<int64_t>(0, tile * kTileTokens / block - (local - 1));
    numbers_.push_back(static_cast<int>(first_block * block / kTileTokens));
  }
  near_end_ = numbers_.size();
  for (int tile = 0; tile < n_tiles; ++tile) {
    const auto begin = numbers_.begin() + static_cast<std::ptrdiff_t>(first_near_);
    numbers_.push_back(static_cast<int>(std::upper_bound(begin, begin + n_tiles, tile) - begin));
  }
}

void BlockSparseTiles::add_work(const std::vector<DocumentInBatch>& documents) {
  documents_ = numbers_.size();
  for (const auto& document : documents) {
    for (const int64_t number : {document.row, document.first, document.tokens}) {
      numbers_.push_back(static_cast<int>(number));
    }
  }
  const auto far_before = [&](int head, int tile) {
    const auto place = static_cast<size_t>(int64_t{head} * (sizes_.n_tiles + 1) + tile);
    return numbers_[far_before_ + place];
  };
  std::vector<WorkItem> of_queries;
  std::vector<std::vector<WorkItem>> of_keys(static_cast<size_t>(sizes_.n_kv_heads));
  const int group = sizes_.n_heads / sizes_.n_kv_heads;
  for (size_t i = 0; i < documents.size(); ++i) {
    const int document = static_cast<int>(i), n_tiles = n_tiles_of(documents[i].tokens);
    for (int tile = 0; tile < n_tiles; tile += kQueryTiles) {
      const int near = numbers_[first_near_ + static_cast<size_t>(tile)];
      of_queries.push_back({document, tile, int64_t{tile} - near + far_before(0, near)});
    }
    for (int tile = 0; tile < n_tiles; ++tile) {
      const int near_end = std::min(n_tiles, numbers_[near_end_ + static_cast<size_t>(tile)]);
      for (int kv_head = 0; kv_head < sizes_.n_kv_heads; ++kv_head) {
        int64_t steps = 0;
        for (int head = kv_head * group; head < (kv_head + 1) * group; ++head) {
          steps += (far_before(head, tile) != far_before(head, tile + 1) ? n_tiles : near_end) - tile;
        }
        of_keys[static_cast<size_t>(kv_head)].push_back({document, tile, steps});
      }
    }
  }
  sizes_.n_query_items = static_cast<int>(of_queries.size());
  sizes_.n_key_items = static_cast<int>(of_keys.front().size());
  query_items_ = numbers_.size();
  append_longest_first(std::move(of_queries), numbers_);
  key_items_ = numbers_.size();
  for (std::vector<WorkItem>& items : of_keys) append_longest_first(std::move(items), numbers_);
}

kernels::cuda::BlockSparseTiles BlockSparseTiles::at(const int* copy) const {
  kernels::cuda::BlockSparseTiles tiles = sizes_;
  tiles.far = copy + far_;
  tiles.far_before = copy + far_before_;
  tiles.first_near = copy + first_near_;
  tiles.near_end = copy + near_end_;
  tiles.documents = copy + documents_;
  tiles.query_items = copy + query_items_;
  tiles.key_items = copy + key_items_;
  return tiles;
}

}  // namespace phial::train
