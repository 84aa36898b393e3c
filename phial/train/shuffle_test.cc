#include "phial/train/shuffle.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace phial::train {
namespace {

TEST(Shuffle, PutsEveryThingInOnePlace) {
  for (const uint64_t n : {1, 2, 3, 4, 5, 16, 17, 255, 1000, 4097}) {
    for (const uint64_t key : {0, 1, 77}) {
      const Shuffle shuffle(n, key);
      std::vector<bool> seen(n);
      for (uint64_t i = 0; i < n; ++i) {
        const uint64_t place = shuffle(i);
        ASSERT_LT(place, n);
        EXPECT_FALSE(seen[place]) << n << " " << key << " " << i;
        seen[place] = true;
      }
    }
  }
}

// Neighbours land apart by a third of n on average, as independent places do; different keys order differently.
TEST(Shuffle, LooksRandom) {
  const uint64_t n = 10000;
  const Shuffle one(n, 1), two(n, 2);
  double distance = 0;
  int same = 0;
  for (uint64_t i = 1; i < n; ++i) {
    distance += std::fabs(static_cast<double>(one(i)) - static_cast<double>(one(i - 1)));
    same += one(i) == two(i) ? 1 : 0;
  }
  EXPECT_NEAR(distance / static_cast<double>(n) / static_cast<double>(n), 1.0 / 3, 0.02);
  EXPECT_LT(same, 10);
}

}  // namespace
}  // namespace phial::train
