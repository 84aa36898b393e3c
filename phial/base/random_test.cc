#include "phial/base/random.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>

namespace phial {
namespace {

// Computed with a program of its own from the published definitions of splitmix64 and xoshiro256**.
TEST(Random, TheStreamOfASeedIsFixed) {
  {
    Random random(0);
    EXPECT_EQ(random.next(), 0x99ec5f36cb75f2b4U);
    EXPECT_EQ(random.next(), 0xbf6e1f784956452aU);
    EXPECT_EQ(random.next(), 0x1a5f849d4933e6e0U);
  }
  {
    Random random(42);
    EXPECT_EQ(random.next(), 0x15780b2e0c2ec716U);
    EXPECT_EQ(random.next(), 0x6104d9866d113a7eU);
    EXPECT_EQ(random.next(), 0xae17533239e499a1U);
  }
  {
    Random random(~uint64_t{0});
    EXPECT_EQ(random.next(), 0x8f5520d52a7ead08U);
    EXPECT_EQ(random.next(), 0xc476a018caa1802dU);
    EXPECT_EQ(random.next(), 0x81de31c0d260469eU);
  }
}

TEST(Random, UniformLiesInItsRangeAndFillsIt) {
  Random random(5);
  double sum = 0, low = 1, high = 0;
  for (int i = 0; i < 100000; ++i) {
    const double u = random.uniform();
    ASSERT_GE(u, 0.0);
    ASSERT_LT(u, 1.0);
    sum += u;
    low = std::min(low, u);
    high = std::max(high, u);
  }
  EXPECT_NEAR(sum / 100000, 0.5, 0.005);  // five standard deviations
  EXPECT_LT(low, 0.001);
  EXPECT_GT(high, 0.999);
}

TEST(Random, BelowIsEvenAndStaysBelow) {
  Random random(6);
  std::array<int, 7> counts{};
  for (int i = 0; i < 70000; ++i) {
    const uint64_t value = random.below(7);
    ASSERT_LT(value, 7U);
    ++counts[value];
  }
  for (const int count : counts) EXPECT_NEAR(count, 10000, 500);
  EXPECT_EQ(random.below(1), 0U);
  EXPECT_LT(random.below(~uint64_t{0}), ~uint64_t{0});
}

}  // namespace
}  // namespace phial
