#include "phial/train/schedule.h"

#include <gtest/gtest.h>

#include <cmath>

namespace phial::train {
namespace {

TEST(Schedule, WarmsUpLinearlyAndNeverAtZero) {
  const Schedule schedule = {.peak = 1, .steps = 100, .warmup_steps = 4};
  EXPECT_DOUBLE_EQ(learning_rate(schedule, 0), 0.2);
  EXPECT_DOUBLE_EQ(learning_rate(schedule, 3), 0.8);
  EXPECT_DOUBLE_EQ(learning_rate(schedule, 4), 1);
}

TEST(Schedule, ACosineGoesFromThePeakToItsShare) {
  const Schedule schedule = {.peak = 2, .final_share = 0.1, .steps = 110, .warmup_steps = 10};
  EXPECT_DOUBLE_EQ(learning_rate(schedule, 10), 2);
  EXPECT_NEAR(learning_rate(schedule, 60), (2 + 0.2) / 2, 1e-12);
  EXPECT_NEAR(learning_rate(schedule, 35), 0.2 + 1.8 * 0.5 * (1 + std::sqrt(0.5)), 1e-12);
  EXPECT_DOUBLE_EQ(learning_rate(schedule, 110), 0.2);
  EXPECT_DOUBLE_EQ(learning_rate(schedule, 500), 0.2);
}

TEST(Schedule, WarmupStableDecayStaysAndThenFalls) {
  Schedule schedule = {.kind = ScheduleKind::kWarmupStableDecay,
                       .peak = 1,
                       .final_share = 0,
                       .steps = 100,
                       .warmup_steps = 5,
                       .decay_steps = 20,
                       .decay_shape = DecayShape::kLinear};
  EXPECT_EQ(learning_rate(schedule, 5), 1);
  EXPECT_EQ(learning_rate(schedule, 80), 1);
  EXPECT_DOUBLE_EQ(learning_rate(schedule, 90), 0.5);
  EXPECT_NEAR(learning_rate(schedule, 99), 0.05, 1e-12);
  EXPECT_EQ(learning_rate(schedule, 100), 0);
  schedule.decay_shape = DecayShape::kOneMinusSqrt;
  EXPECT_DOUBLE_EQ(learning_rate(schedule, 85), 0.5);
  schedule.decay_steps = 0;  // a fifth
  EXPECT_DOUBLE_EQ(learning_rate(schedule, 80), 1);
  EXPECT_DOUBLE_EQ(learning_rate(schedule, 85), 0.5);
}

}  // namespace
}  // namespace phial::train
