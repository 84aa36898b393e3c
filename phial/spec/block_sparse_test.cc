#include "phial/spec/block_sparse.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace phial::spec {
namespace {

struct Shape {
  BlockSparse pattern;
  int n_heads = 1, n_kv_heads = 1;
};

// The rule as it is published, one pair of positions at a time.
bool sees(const Shape& shape, int head, int query, int key) {
  const BlockSparse& p = shape.pattern;
  const int step = p.same_for_heads ? 0 : std::max(1, p.stride / shape.n_heads);
  const int q = query / p.block, k = key / p.block;
  return key <= query && (q - k < p.local_blocks || (k + head * step + 1) % p.stride == 0);
}

bool lists_show(const BlockSparseLists& lists, const Shape& shape, int head, int query, int key) {
  const int per_kv = shape.n_heads / shape.n_kv_heads, r = head % per_kv;
  const int q = query / shape.pattern.block, k = key / shape.pattern.block;
  if (key > query) return false;
  if (k >= lists.first_local(q)) return true;
  for (const auto& entry : lists.far(head / per_kv, q)) {
    if (entry.block == k) return (entry.heads >> r & 1) != 0;
  }
  return false;
}

std::string text_of(const Shape& s) {
  return std::to_string(s.n_heads) + "/" + std::to_string(s.n_kv_heads) + " heads, blocks of " +
         std::to_string(s.pattern.block) + ", " + std::to_string(s.pattern.local_blocks) + " local, stride " +
         std::to_string(s.pattern.stride) + (s.pattern.same_for_heads ? ", alike" : "");
}

std::vector<Shape> many_shapes() {
  std::vector<Shape> shapes;
  for (const auto& [heads, kv_heads] : {std::pair{1, 1}, {4, 4}, {8, 2}, {6, 1}, {32, 8}}) {
    for (const int block : {1, 3, 8, 16}) {
      for (const int local : {1, 2, 5}) {
        for (const int stride : {1, 2, 3, 8, 13, 64}) {  // below, at and above the number of heads
          for (const bool alike : {false, true}) shapes.push_back({{block, local, stride, 2, alike}, heads, kv_heads});
        }
      }
    }
  }
  return shapes;
}

TEST(BlockSparseLists, ShowWhatTheRuleShows) {
  constexpr int kPositions = 150;
  for (const Shape& shape : many_shapes()) {
    const BlockSparseLists lists(shape.pattern, shape.n_heads, shape.n_kv_heads, kPositions);
    size_t wrong = 0;
    for (int head = 0; head < shape.n_heads; ++head) {
      for (int query = 0; query < kPositions; query += 7) {
        for (int key = 0; key < kPositions; ++key) {
          wrong += lists_show(lists, shape, head, query, key) == sees(shape, head, query, key) ? 0 : 1;
        }
      }
    }
    EXPECT_EQ(wrong, 0U) << text_of(shape);
  }
}

TEST(BlockSparseLists, CountTheFarBlocksOfAHead) {
  for (const Shape& shape : many_shapes()) {
    const BlockSparseLists lists(shape.pattern, shape.n_heads, shape.n_kv_heads, 150);
    const int per_kv = shape.n_heads / shape.n_kv_heads;
    for (int query = 0; query < 150; query += 13) {
      const int q = query / shape.pattern.block;
      for (int head = 0; head < shape.n_heads; ++head) {
        int wanted = 0;
        for (const auto& entry : lists.far(head / per_kv, q))
          wanted += static_cast<int>(entry.heads >> (head % per_kv) & 1);
        ASSERT_EQ(lists.n_before(head / per_kv, head % per_kv, lists.first_local(q)), wanted)
            << text_of(shape) << " query " << query;
      }
    }
  }
}

// No later query may miss what was called needless.
TEST(BlockSparseLists, WhatIsNotNeededIsNeverSeenAgain) {
  constexpr int kPositions = 150, kPage = 12;
  size_t needless = 0;
  for (const Shape& shape : many_shapes()) {
    const BlockSparseLists lists(shape.pattern, shape.n_heads, shape.n_kv_heads, kPositions);
    const int per_kv = shape.n_heads / shape.n_kv_heads;
    for (int first = 0; first + kPage <= kPositions; first += kPage) {
      for (int kv_head = 0; kv_head < shape.n_kv_heads; ++kv_head) {
        for (int position = first + kPage; position < kPositions; position += 11) {
          bool is_seen = false;
          for (int query = position; query < kPositions && !is_seen; ++query) {
            for (int i = 0; i < kPage * per_kv; ++i) {
              is_seen = is_seen || sees(shape, kv_head * per_kv + i / kPage, query, first + i % kPage);
            }
          }
          const bool is_needed = lists.is_needed(kv_head, first, first + kPage - 1, position);
          ASSERT_TRUE(is_needed || !is_seen) << text_of(shape) << " page " << first << " position " << position;
          needless += is_needed ? 0 : 1;
        }
      }
    }
  }
  EXPECT_GT(needless, 1000U);
}

// The published model: 30 of 128 blocks at 8k, and half of the far ones for a key-value head.
TEST(BlockSparseLists, SmallReadsWhatItsReportSays) {
  const BlockSparse pattern{.block = 64, .local_blocks = 16, .stride = 8, .dense_every = 2};
  const BlockSparseLists lists(pattern, 32, 8, 131072);
  EXPECT_EQ(pattern.dense_tokens(), 1024);
  EXPECT_TRUE(pattern.is_sparse(0));
  EXPECT_FALSE(pattern.is_sparse(1));
  for (int kv_head = 0; kv_head < 8; ++kv_head) {
    for (int r = 0; r < 4; ++r) {
      EXPECT_EQ(16 + lists.n_before(kv_head, r, lists.first_local(127)), 30);
      EXPECT_EQ(16 + lists.n_before(kv_head, r, lists.first_local(2047)), 270);
    }
    EXPECT_EQ(lists.far(kv_head, 127).size(), 56U);
    for (const auto& entry : lists.far(kv_head, 127)) EXPECT_EQ(entry.block % 8 >= 4, kv_head % 2 == 0);
    EXPECT_TRUE(lists.far(kv_head, 15).empty());
  }
}

}  // namespace
}  // namespace phial::spec
