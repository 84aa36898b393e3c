// Held to the rule of spec/block_sparse.h, pair by pair: what kernels walk through is read here as they read it.
#include "phial/train/block_sparse_tiles.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <utility>

#include "phial/train/sparse_problem_for_test.h"

namespace phial::train {
namespace {

constexpr int kTile = kernels::cuda::kTileTokens;

const SparseCase kTileCases[] = {
    {{.block = 64, .local_blocks = 2, .stride = 3}, 4, 2, 8, {{700, 5, 64}, {64, 65, 640}}},
    {{.block = 64, .local_blocks = 16, .stride = 8}, 32, 8, 8, {{2500}}},
    {{.block = 128, .local_blocks = 1, .stride = 2}, 2, 2, 8, {{1001}}},
    {{.block = 192, .local_blocks = 2, .stride = 3, .same_for_heads = true}, 2, 1, 8, {{1600}}},
    {{.block = 16, .local_blocks = 3, .stride = 40}, 4, 1, 8, {{900, 7}}},
    {{.block = 100, .local_blocks = 1, .stride = 5}, 6, 3, 8, {{1300}}},
    {{.block = 1, .local_blocks = 70, .stride = 211}, 3, 3, 8, {{600}}},
    {{.block = 48, .local_blocks = 1000, .stride = 2}, 2, 2, 8, {{300}}},  // all is near
    {{.block = 1000, .local_blocks = 1, .stride = 1}, 2, 2, 8, {{130}}},
};

bool sees(const SparseProblem& problem, int head, int64_t query, int64_t key) {
  const spec::BlockSparse& pattern = problem.spec.block_sparse;
  const int64_t of_key = key / pattern.block, shift = int64_t{head} * pattern.head_step(problem.spec.n_heads) + 1;
  return key <= query &&
         (query / pattern.block - of_key < pattern.local_blocks || (of_key + shift) % pattern.stride == 0);
}

TEST(BlockSparseTiles, ShowEveryPairThatTheRuleShowsAndExactOnesNoOther) {
  for (const SparseCase& each : kTileCases) {
    SCOPED_TRACE(each.pattern.block);
    const SparseProblem problem(each, at::kFloat);
    const auto plan = block_sparse_plan(problem.spec.block_sparse, each.n_heads, each.n_kv_heads, problem.batch);
    const BlockSparseTiles made(*plan, each.n_heads, each.n_kv_heads);
    const auto tiles = made.at(made.numbers().data());
    const int64_t longest = plan->documents.front().tokens;
    EXPECT_EQ(tiles.exact,
              each.pattern.block % kTile == 0 || each.pattern.local_blocks == 1000 || each.pattern.block == 1000);
    for (int head = 0; head < each.n_heads; ++head) {
      const int* const before = tiles.far_before + head * (tiles.n_tiles + 1);
      for (int q = 0; q < tiles.n_tiles; ++q) {
        std::set<int> seen(tiles.far + head * tiles.max_far,
                           tiles.far + head * tiles.max_far + before[tiles.first_near[q]]);
        for (const int far : seen) EXPECT_LT(far, tiles.first_near[q]);
        for (int near = tiles.first_near[q]; near <= q; ++near) seen.insert(near);
        for (int k = 0; k <= q; ++k) {
          bool any = false, all = true;
          for (int64_t i = q * kTile; i < std::min<int64_t>(longest, (q + 1) * kTile); ++i) {
            for (int64_t j = k * kTile; j < (k + 1) * kTile; ++j) {
              const bool one = sees(problem, head, i, j);
              any = any || one;
              all = all && (one || j > i);
            }
          }
          const bool is_listed = seen.contains(k);
          EXPECT_TRUE(!any || is_listed) << head << ", " << q << ", " << k;
          EXPECT_TRUE(!tiles.exact || !is_listed || all) << head << ", " << q << ", " << k;
          // Read backwards.
          const bool counts = before[k] != before[k + 1];
          EXPECT_EQ(counts || q < tiles.near_end[k], is_listed) << head << ", " << q << ", " << k;
        }
      }
    }
  }
}

TEST(BlockSparseTiles, WorkIsEveryTileOfEveryDocumentOnce) {
  const SparseCase& each = kTileCases[0];
  const SparseProblem problem(each, at::kFloat);
  const auto plan = block_sparse_plan(problem.spec.block_sparse, each.n_heads, each.n_kv_heads, problem.batch);
  const BlockSparseTiles made(*plan, each.n_heads, each.n_kv_heads);
  const auto tiles = made.at(made.numbers().data());
  std::set<std::pair<int, int>> wanted_queries, wanted_keys;
  for (size_t i = 0; i < plan->documents.size(); ++i) {
    const auto& document = plan->documents[i];
    const auto n = static_cast<int>(i);
    EXPECT_EQ(tiles.documents[3 * n], document.row);
    EXPECT_EQ(tiles.documents[3 * n + 1], document.first);
    EXPECT_EQ(tiles.documents[3 * n + 2], document.tokens);
    for (int tile = 0; tile * kTile < document.tokens; ++tile) {
      wanted_keys.insert({n, tile});
      if (tile % kernels::cuda::kQueryTiles == 0) wanted_queries.insert({n, tile});
    }
  }
  const auto items_at = [](const int* items, int n) {
    std::multiset<std::pair<int, int>> found;
    for (int i = 0; i < n; ++i) found.insert({items[2 * i], items[2 * i + 1]});
    return found;
  };
  const auto as_many = [](const std::set<std::pair<int, int>>& once) {
    return std::multiset<std::pair<int, int>>(once.begin(), once.end());
  };
  EXPECT_EQ(items_at(tiles.query_items, tiles.n_query_items), as_many(wanted_queries));
  for (int kv_head = 0; kv_head < each.n_kv_heads; ++kv_head) {
    EXPECT_EQ(items_at(tiles.key_items + 2 * kv_head * tiles.n_key_items, tiles.n_key_items), as_many(wanted_keys));
  }
}

}  // namespace
}  // namespace phial::train
