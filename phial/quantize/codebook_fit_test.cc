#include "phial/quantize/codebook_fit.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "phial/base/random.h"
#include "phial/tensor/codebooks.h"

namespace phial::quantize {
namespace {

const std::span<const int8_t> kCodebooks[] = {tensor::kPhialQ4Levels, tensor::kPhialQ3Levels};

// The long way: the first of the levels that is nearest.
int8_t nearest_of(std::span<const int8_t> levels, double ratio) {
  int8_t best = levels.front();
  for (const int8_t level : levels) {
    if (std::fabs(level - ratio) < std::fabs(best - ratio)) best = level;
  }
  return best;
}

double error_of(std::span<const int8_t> levels, std::span<const float> weights, std::span<const float> cost,
                float scale) {
  double error = 0;
  for (size_t k = 0; k < weights.size(); ++k) {
    const double ratio = scale != 0 ? static_cast<double>(weights[k]) / scale : 0;
    error += cost[k] * std::pow(weights[k] - static_cast<double>(scale) * nearest_of(levels, ratio), 2);
  }
  return error;
}

TEST(CodebookFit, TheNearestLevelIsTheNearest) {
  for (const auto levels : kCodebooks) {
    const CodebookFit fit(levels);
    for (int i = -70 * 16; i <= 70 * 16; ++i) {
      const float ratio = static_cast<float>(i) / 16 + 0.01F;  // no tie
      ASSERT_EQ(fit.nearest(ratio), nearest_of(levels, ratio)) << ratio;
    }
    for (const float far : {1e30F, std::numeric_limits<float>::infinity()}) {
      EXPECT_EQ(fit.nearest(far), levels.back());
      EXPECT_EQ(fit.nearest(-far), levels.front());
    }
  }
}

TEST(CodebookFit, TheBestScaleIsNotBeatenByAnyOther) {
  Random random(9);
  for (const auto levels : kCodebooks) {
    const CodebookFit fit(levels);
    for (int round = 0; round < 300; ++round) {
      std::vector<float> weights(32), cost(32);
      const double size = std::exp(8 * random.uniform() - 7);
      for (size_t k = 0; k < weights.size(); ++k) {
        const double x = random.uniform() + random.uniform() + random.uniform() + random.uniform() - 2;
        weights[k] = static_cast<float>(size * x * (round % 2 == 0 ? 1 : std::fabs(x)));
        cost[k] = static_cast<float>(0.1 + random.uniform());
      }
      const double found = error_of(levels, weights, cost, tensor::f8_to_f32(fit.best_scale({weights, cost})));
      for (int f8 = 0; f8 < 256; ++f8) {
        const double other = error_of(levels, weights, cost, tensor::f8_to_f32(static_cast<uint8_t>(f8)));
        ASSERT_GE(other, found * (1 - 1e-5)) << "round " << round << ", scale " << f8;
      }
    }
  }
}

TEST(CodebookFit, WeightsBeyondEveryScaleGetTheLargestAndZerosTheScaleOfZero) {
  for (const auto levels : kCodebooks) {
    const CodebookFit fit(levels);
    const std::vector<float> even(32, 1.0F);
    EXPECT_EQ(fit.best_scale({std::vector<float>(32, 1e9F), even}) & 0x7F, 0x7F);
    EXPECT_EQ(fit.best_scale({std::vector<float>(32, 3e38F), even}) & 0x7F, 0x7F);
    EXPECT_EQ(fit.best_scale({std::vector<float>(32, 0.0F), even}), 0);
    EXPECT_EQ(fit.best_scale({std::vector<float>(32, 1e-30F), even}) & 0x7F, 0);
  }
}

}  // namespace
}  // namespace phial::quantize
