#include "phial/generate/lookup_drafter.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace phial::generate {
namespace {

using Ids = std::vector<int32_t>;

// What it drafts after `ids` when it has seen them grow token by token.
Ids draft_after(const Ids& ids, int most, int* evidence = nullptr) {
  LookupDrafter drafter;
  int found = 0;
  for (size_t n = 1; n <= ids.size(); ++n) found = drafter.look(std::span(ids).first(n));
  if (evidence != nullptr) *evidence = found;
  return found == 0 ? Ids() : *drafter.draft(ids, most, {});
}

TEST(LookupDrafter, DraftsWhatFollowedTheLastTime) {
  int evidence = 0;
  EXPECT_EQ(draft_after({1, 2, 3, 4, 5, 6, 2, 3}, 3, &evidence), (Ids{4, 5, 6}));
  EXPECT_EQ(evidence, 2);
}

TEST(LookupDrafter, WhatHasNotComeBeforeHasNoEvidence) {
  int evidence = -1;
  EXPECT_TRUE(draft_after({1, 2, 3, 4, 5, 6, 2, 7}, 3, &evidence).empty());
  EXPECT_EQ(evidence, 0);
  // One token alone is no match, nor is the end of the sequence one of itself.
  EXPECT_TRUE(draft_after({1, 2, 3, 2}, 3).empty());
  EXPECT_TRUE(draft_after({1}, 3).empty());
  EXPECT_TRUE(draft_after({1, 2}, 3).empty());
}

TEST(LookupDrafter, TheLongestMatchWinsAndOfEqualOnesTheLatest) {
  int evidence = 0;
  EXPECT_EQ(draft_after({1, 2, 3, 7, 9, 2, 3, 8, 1, 2, 3}, 1, &evidence), (Ids{7}));
  EXPECT_EQ(evidence, 3);
  EXPECT_EQ(draft_after({5, 2, 3, 7, 6, 2, 3, 8, 9, 2, 3}, 1, &evidence), (Ids{8}));
  EXPECT_EQ(evidence, 2);
}

TEST(LookupDrafter, GoesOnInItselfWhereTextRepeatsWithoutEnd) {
  EXPECT_EQ(draft_after({9, 1, 2, 3, 1, 2, 3, 1}, 7), (Ids{2, 3, 1, 2, 3, 1, 2}));
  EXPECT_EQ(draft_after({4, 4, 4, 4}, 5), (Ids{4, 4, 4, 4, 4}));
}

TEST(LookupDrafter, EvidenceHasABound) {
  Ids ids;
  for (int round = 0; round < 2; ++round) {
    for (int32_t id = 0; id < 40; ++id) ids.push_back(id);
  }
  int evidence = 0;
  draft_after(ids, 1, &evidence);
  EXPECT_EQ(evidence, kMostEvidence);
}

TEST(LookupDrafter, TakesASequenceInAnySteps) {
  Ids ids;
  for (int i = 0; i < 500; ++i) ids.push_back((i * i / 3) % 23);
  LookupDrafter steps;
  for (size_t n = 7; n <= ids.size(); n += 1 + n % 5) {
    const auto part = std::span(ids).first(n);
    LookupDrafter fresh;
    const int evidence = fresh.look(part);
    ASSERT_EQ(steps.look(part), evidence) << n;
    if (evidence == 0) continue;
    EXPECT_EQ(*steps.draft(part, 9, {}), *fresh.draft(part, 9, {})) << n;
  }
}

// Beside the plain search through all that came before.
TEST(LookupDrafter, FindsTheLongestMatchThatThereIs) {
  Ids ids;
  uint32_t state = 1;
  for (int i = 0; i < 300; ++i) {
    state = state * 1664525 + 1013904223;
    ids.push_back(static_cast<int32_t>(state >> 24) % 7);
  }
  // Pairs come again some six times, fewer than the places that are looked at.
  for (size_t n = 2; n <= 250; ++n) {
    int longest = 0;
    for (size_t end = 2; end < n; ++end) {
      int length = 0;
      while (length < kMostEvidence && static_cast<size_t>(length) < end &&
             ids[end - 1 - length] == ids[n - 1 - length])
        ++length;
      longest = std::max(longest, length);
    }
    LookupDrafter drafter;
    EXPECT_EQ(drafter.look(std::span(ids).first(n)), longest >= 2 ? longest : 0) << n;
  }
}

}  // namespace
}  // namespace phial::generate
