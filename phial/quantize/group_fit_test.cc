#include "phial/quantize/group_fit.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "phial/base/random.h"

namespace phial::quantize {
namespace {

struct Sample {
  std::vector<float> weights, cost;
  Group group() const { return {weights, cost}; }
};

// Heavy tails, so that cutting the largest weight often pays.
Sample sample(uint64_t seed, size_t count) {
  Random random(seed);
  Sample out;
  for (size_t k = 0; k < count; ++k) {
    const double x = 2 * random.uniform() - 1;
    out.weights.push_back(static_cast<float>(x * x * x));
    out.cost.push_back(static_cast<float>(0.1 + random.uniform()));
  }
  return out;
}

TEST(GroupFit, TheBestStepIsNotBeatenByAnyStepOfAFineGrid) {
  for (const Levels levels : {Levels{-8, 7}, Levels{-16, 15}, Levels{-32, 31}, Levels{-127, 127}}) {
    for (uint64_t seed = 0; seed < 40; ++seed) {
      const Sample s = sample(seed, 32);
      const double found = error_of(s.group(), best_step(s.group(), levels), levels);
      const auto last = static_cast<float>(-levels.lowest);
      for (int i = 0; i <= 2000; ++i) {
        const float reciprocal = last - 2 + 7 * static_cast<float>(i) / 2000;  // of the largest magnitude, which is < 1
        float most = 0;
        for (const float w : s.weights) most = std::max(most, std::fabs(w));
        for (const float sign : {1.0F, -1.0F}) {
          const double error = error_of(s.group(), {sign * most / reciprocal, 0}, levels);
          ASSERT_GE(error, found * (1 - 1e-4) - 1e-12) << "seed " << seed << ", step " << most / reciprocal;
        }
      }
    }
  }
}

TEST(GroupFit, AnOffsetIsWorthItsPrice) {
  for (uint64_t seed = 0; seed < 40; ++seed) {
    Sample s = sample(seed, 32);
    for (float& w : s.weights) w += 0.7F;  // far from zero
    const Levels levels = {0, 15};
    const Grid grid = best_step_and_offset(s.group(), levels, true);
    EXPECT_LT(error_of(s.group(), grid, levels), error_of(s.group(), best_step(s.group(), {-8, 7}), {-8, 7}));
  }
}

TEST(GroupFit, AnOffsetOfOneSignNeverHasTheOther) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    Sample s = sample(seed, 32);
    for (float& w : s.weights) w += 0.5F;
    const Levels levels = {0, 15};
    const Grid grid = best_step_and_offset(s.group(), levels, false);
    EXPECT_GE(grid.offset, 0);
    EXPECT_GE(grid.step, 0);
    // No worse than the whole range from zero.
    float most = 0;
    for (const float w : s.weights) most = std::max(most, w);
    float least = 0;
    for (const float w : s.weights) least = std::min(least, w);
    EXPECT_LE(error_of(s.group(), grid, levels), error_of(s.group(), {(most - least) / 15, -least}, levels) * 1.0001);
  }
}

TEST(GroupFit, NearestLevelsAreHeldToTheRange) {
  EXPECT_EQ(nearest_level(1e30F, {1e-30F, 0}, {-8, 7}), 7);
  EXPECT_EQ(nearest_level(-1e30F, {1e-30F, 0}, {-8, 7}), -8);
  EXPECT_EQ(nearest_level(5, {0, 0}, {-8, 7}), 0);
  EXPECT_EQ(nearest_level(5, {-1, 0}, {-8, 7}), -5);
  EXPECT_EQ(nearest_level(-3, {1, 3}, {0, 15}), 0);
}

}  // namespace
}  // namespace phial::quantize
