#include "phial/generate/draft_length.h"

#include <gtest/gtest.h>

namespace phial::generate {
namespace {

// A machine on which a step takes 10 ms, and one with four drafted tokens as many times that.
DraftLength on_a_machine(double times) {
  DraftLength length;
  for (int i = 0; i < 50; ++i) {
    length.took(0, 10);
    length.took(4, 10 * times);
  }
  return length;
}

TEST(DraftLength, RightDraftsGrowAndWrongOnesStop) {
  DraftLength length = on_a_machine(1.94);
  const int at_first = length.best(4);
  for (int i = 0; i < 20; ++i) length.saw(4, 4, false);
  EXPECT_GT(length.best(4), at_first);
  for (int i = 0; i < 40; ++i) length.saw(4, 0, true);
  EXPECT_EQ(length.best(4), 0);
  // What is seen while nothing is checked brings it back.
  for (int i = 0; i < 10; ++i) length.saw(4, 1, false);
  EXPECT_GT(length.best(4), 0);
}

TEST(DraftLength, EachEvidenceLearnsForItself) {
  DraftLength length = on_a_machine(1.94);
  const int others = length.best(5);
  for (int i = 0; i < 40; ++i) length.saw(4, 0, true);
  EXPECT_EQ(length.best(4), 0);
  EXPECT_EQ(length.best(5), others);
  EXPECT_GE(length.best(8), length.best(2));  // at first a longer match is believed more
}

TEST(DraftLength, DearRowsMakeShorterDrafts) {
  int last = kMostDrafted;
  for (const double times : {1.02, 1.5, 2.0, 4.9}) {
    const DraftLength length = on_a_machine(times);
    EXPECT_LE(length.best(7), last) << times;
    last = length.best(7);
  }
  EXPECT_LT(last, 4);
  EXPECT_EQ(on_a_machine(1.0).best(7), kMostDrafted);  // rows that cost nothing
}

TEST(DraftLength, ItIsTheLengthOfTheMostTokensASecond) {
  // Half of the tokens right. One drafted: 1.5 tokens in 1.04 steps, two: 1.75 in 1.12, three: 1.875 in 1.38.
  DraftLength length = on_a_machine(1.94);
  for (int i = 0; i < 400; ++i) length.saw(3, i % 2, i % 2 == 0);
  EXPECT_EQ(length.best(3), 2);
}

TEST(DraftLength, AMachineThatWasBusyForAMomentIsNotForgottenAtOnce) {
  DraftLength length = on_a_machine(1.5);
  const int before = length.best(6);
  length.took(4, 5000);
  EXPECT_GT(length.best(6), 0);
  EXPECT_LE(length.best(6), before);
  length.took(0, 5000);
  for (int i = 0; i < 60; ++i) {
    length.took(0, 10);
    length.took(4, 15);
  }
  EXPECT_EQ(length.best(6), before);
}

}  // namespace
}  // namespace phial::generate
