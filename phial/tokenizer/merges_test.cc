#include "phial/tokenizer/merges.h"

#include <gtest/gtest.h>

#include "phial/base/random.h"

namespace phial::tokenizer {
namespace {

// The definition, word for word: lowest rank first, leftmost on ties.
std::vector<TokenId> merge_naively(const MergeTable& table, std::vector<TokenId> symbols) {
  for (;;) {
    MergeTable::Merge best;
    size_t at = 0;
    for (size_t i = 0; i + 1 < symbols.size(); ++i) {
      const MergeTable::Merge merge = table.find(symbols[i], symbols[i + 1]);
      if (merge.rank < best.rank) {
        best = merge;
        at = i;
      }
    }
    if (best.rank == MergeTable::kNever) return symbols;
    symbols[at] = best.merged;
    symbols.erase(symbols.begin() + static_cast<ptrdiff_t>(at) + 1);
  }
}

TEST(MergeTable, ScanningAndTheQueueBothFollowTheDefinition) {
  Random random(3);
  MergeTable table;
  for (int i = 0; i < 60; ++i) {
    // Few ranks, so that ties are common.
    table.add(static_cast<TokenId>(random.below(12)), static_cast<TokenId>(random.below(12)),
              {static_cast<uint32_t>(random.below(9)), static_cast<TokenId>(random.below(12))});
  }
  for (const size_t n : {0, 1, 2, 3, 17, 40, 41, 64, 500}) {
    for (int round = 0; round < 50; ++round) {
      std::vector<TokenId> symbols;
      for (size_t i = 0; i < n; ++i) symbols.push_back(static_cast<TokenId>(random.below(13)) - 1);
      const std::vector<TokenId> wanted = merge_naively(table, symbols);
      table.apply(symbols);
      ASSERT_EQ(symbols, wanted) << n;
    }
  }
}

TEST(MergeTable, TheFirstEntryOfAPairStands) {
  MergeTable table;
  table.add(1, 2, {5, 7});
  table.add(1, 2, {0, 9});
  EXPECT_EQ(table.size(), 1U);
  EXPECT_EQ(table.find(1, 2).merged, 7);
  EXPECT_EQ(table.find(2, 1).rank, MergeTable::kNever);
}

TEST(MergeTable, SymbolsBelowZeroNeverMerge) {
  MergeTable table;
  table.add(1, 1, {0, 2});
  std::vector<TokenId> symbols = {-1, 1, 1, -1, -1, 1};
  table.apply(symbols);
  EXPECT_EQ(symbols, (std::vector<TokenId>{-1, 2, -1, -1, 1}));
}

}  // namespace
}  // namespace phial::tokenizer
