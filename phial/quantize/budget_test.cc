#include "phial/quantize/budget.h"

#include <gtest/gtest.h>

#include <vector>

#include "phial/base/random.h"

namespace phial::quantize {
namespace {

using Matrices = std::vector<std::vector<Offer>>;

TEST(Budget, BytesGoWhereTheyTakeAwayTheMostLoss) {
  const Matrices matrices = {{{.bytes = 30, .loss = 9}, {.bytes = 40, .loss = 4}, {.bytes = 80, .loss = 0}},
                             {{.bytes = 300, .loss = 10}, {.bytes = 400, .loss = 2}}};
  EXPECT_EQ(least_bytes(matrices), 330U);
  EXPECT_EQ(spend(matrices, 330).taken, (std::vector<size_t>{0, 0}));
  EXPECT_EQ(spend(matrices, 339).taken, (std::vector<size_t>{0, 0}));
  EXPECT_EQ(spend(matrices, 340).taken, (std::vector<size_t>{1, 0}));
  EXPECT_EQ(spend(matrices, 440).taken, (std::vector<size_t>{2, 0}));
  EXPECT_EQ(spend(matrices, 480).taken, (std::vector<size_t>{2, 1}));
  EXPECT_EQ(spend(matrices, 479).taken, (std::vector<size_t>{2, 0}));
  EXPECT_EQ(spend(matrices, 1000000).bytes, 480U);
}

TEST(Budget, AStepThatDoesNotFitGivesWayToASmallerOne) {
  // From 10 to 100 loses least a byte, but only 20 can be had.
  const Matrices matrices = {{{.bytes = 10, .loss = 100}, {.bytes = 20, .loss = 95}, {.bytes = 100, .loss = 1}}};
  EXPECT_EQ(spend(matrices, 99).taken, (std::vector<size_t>{1}));
  EXPECT_EQ(spend(matrices, 100).taken, (std::vector<size_t>{2}));
}

TEST(Budget, WhatGainsNothingIsNotBought) {
  const Matrices matrices = {{{.bytes = 10, .loss = 1}, {.bytes = 20, .loss = 1}, {.bytes = 30, .loss = 2}},
                             {{.bytes = 5, .loss = 0}}};
  EXPECT_EQ(spend(matrices, 1000).bytes, 15U);
}

TEST(Budget, IsNeverExceededAndWhatMoreBytesBuyIsNoWorse) {
  Random random(1);
  for (int round = 0; round < 100; ++round) {
    Matrices matrices(1 + random.below(20));
    for (auto& offers : matrices) {
      Offer offer = {.bytes = 1 + random.below(100), .loss = 10 * random.uniform()};
      for (size_t i = 0; i < 3; ++i) {
        offers.push_back(offer);
        offer = {.bytes = offer.bytes + 1 + random.below(100), .loss = offer.loss * random.uniform()};
      }
    }
    const uint64_t least = least_bytes(matrices), most = least + random.below(1000);
    const Spending spent = spend(matrices, most);
    uint64_t bytes = 0;
    for (size_t i = 0; i < matrices.size(); ++i) bytes += matrices[i][spent.taken[i]].bytes;
    EXPECT_EQ(bytes, spent.bytes);
    EXPECT_LE(bytes, most);
    EXPECT_EQ(spend(matrices, least + 1000000).taken, std::vector<size_t>(matrices.size(), 2));
  }
}

}  // namespace
}  // namespace phial::quantize
