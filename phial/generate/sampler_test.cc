#include "phial/generate/sampler.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>
#include <vector>

namespace phial::generate {
namespace {

constexpr int kDraws = 40000;

std::map<int32_t, double> shares(const SamplingOptions& options, const std::vector<float>& logits) {
  Sampler sampler(options);
  std::map<int32_t, double> share;
  for (int i = 0; i < kDraws; ++i) share[sampler.sample(logits, {})] += 1.0 / kDraws;
  return share;
}

TEST(Sampler, TemperatureZeroTakesTheLargestAndTheLowestIdOnTies) {
  Sampler sampler(SamplingOptions{});
  EXPECT_EQ(sampler.sample(std::vector<float>{1, 3, 3, 2}, {}), 1);
}

TEST(Sampler, DrawsFollowTheSoftmaxAtTheTemperature) {
  const std::vector<float> logits = {0.5F, 2, -1, 1.25F};
  for (const float temperature : {0.7F, 1.0F, 1.9F}) {
    const auto share = shares({.temperature = temperature, .seed = 3}, logits);
    double total = 0;
    for (const float logit : logits) total += std::exp(logit / temperature);
    for (int32_t id = 0; id < 4; ++id) {
      const double expected = std::exp(logits[static_cast<size_t>(id)] / temperature) / total;
      const double deviation = std::sqrt(expected * (1 - expected) / kDraws);
      EXPECT_NEAR(share.contains(id) ? share.at(id) : 0, expected, 5 * deviation) << id << " at " << temperature;
    }
  }
}

TEST(Sampler, TopKKeepsTheKMostLikely) {
  const auto share = shares({.temperature = 1, .top_k = 2, .seed = 1}, {0, 1, 2, 3});
  EXPECT_EQ(share.size(), 2U);
  EXPECT_NEAR(share.at(3), 1 / (1 + std::exp(-1.0)), 0.02);
}

TEST(Sampler, TopPKeepsTheSmallestSetThatReachesTheMass) {
  // Probabilities 0.6, 0.3, 0.1.
  const std::vector<float> logits = {std::log(0.1F), std::log(0.6F), std::log(0.3F)};
  EXPECT_EQ(shares({.temperature = 1, .top_p = 0.5F}, logits).size(), 1U);
  EXPECT_EQ(shares({.temperature = 1, .top_p = 0.8F}, logits).size(), 2U);
  EXPECT_EQ(shares({.temperature = 1, .top_p = 0.95F}, logits).size(), 3U);
}

TEST(Sampler, MinPDropsWhatIsFarBelowTheMostLikely) {
  const std::vector<float> logits = {std::log(0.1F), std::log(0.6F), std::log(0.3F)};
  EXPECT_EQ(shares({.temperature = 1, .min_p = 0.4F}, logits).size(), 2U);
  EXPECT_EQ(shares({.temperature = 1, .min_p = 0.1F}, logits).size(), 3U);
}

TEST(Sampler, RepeatedTokensLoseByThePenaltyWhateverTheSignOfTheirLogit) {
  Sampler sampler({.repeat_penalty = 2});
  EXPECT_EQ(sampler.sample(std::vector<float>{3, 2}, std::vector<int32_t>{0}), 1);
  EXPECT_EQ(sampler.sample(std::vector<float>{-1, -1.5F}, std::vector<int32_t>{0}), 1);
  std::vector<int32_t> long_ago(80, 1);
  long_ago[0] = 0;
  EXPECT_EQ(sampler.sample(std::vector<float>{3, 2}, long_ago), 0);
}

TEST(Sampler, TheSameSeedGivesTheSameDraws) {
  const std::vector<float> logits = {0, 0, 0, 0, 0, 0, 0, 0};
  Sampler a({.temperature = 1, .seed = 7}), b({.temperature = 1, .seed = 7}), c({.temperature = 1, .seed = 8});
  int differing = 0;
  for (int i = 0; i < 50; ++i) {
    const int32_t id = a.sample(logits, {});
    EXPECT_EQ(id, b.sample(logits, {}));
    differing += id != c.sample(logits, {}) ? 1 : 0;
  }
  EXPECT_GT(differing, 10);
}

TEST(Sampler, OptionsThatMakeNoSenseAreNamed) {
  EXPECT_TRUE(validate(SamplingOptions{}));
  EXPECT_EQ(validate({.temperature = -1}).error().text(), "temperature is -1.000000: it must be 0 or more");
  EXPECT_FALSE(validate({.temperature = std::numeric_limits<float>::quiet_NaN()}));
  EXPECT_FALSE(validate({.top_k = -1}));
  EXPECT_FALSE(validate({.top_p = 0}));
  EXPECT_FALSE(validate({.min_p = 1.5F}));
  EXPECT_FALSE(validate({.repeat_penalty = 0}));
}

TEST(Sampler, WhatIsNoNumberIsNeverDrawn) {
  const float nan = std::numeric_limits<float>::quiet_NaN(), infinity = std::numeric_limits<float>::infinity();
  std::vector<float> logits(100, nan);
  logits[40] = 1;
  logits[60] = 0.5F;
  logits[70] = -infinity;
  EXPECT_EQ(Sampler(SamplingOptions{}).sample(logits, {}), 40);
  const auto share = shares({.temperature = 1, .top_k = 50, .top_p = 0.99F, .repeat_penalty = 1.1F, .seed = 2}, logits);
  EXPECT_EQ(share.size(), 2U);
  EXPECT_EQ(logprobs_of(logits, 40, 2).best[1].first, 60);
  const std::vector<float> none(10, nan);
  EXPECT_EQ(Sampler({.temperature = 1}).sample(none, {}), 0);
}

TEST(Logprobs, AreThoseOfTheSoftmax) {
  const std::vector<float> logits = {1000, 1001, 999};
  const TokenLogprob result = logprobs_of(logits, 0, 2);
  const double total = std::exp(-1.0) + 1 + std::exp(-2.0);
  EXPECT_NEAR(result.logprob, -1 - std::log(total), 1e-6);
  ASSERT_EQ(result.best.size(), 2U);
  EXPECT_EQ(result.best[0].first, 1);
  EXPECT_EQ(result.best[1].first, 0);
  EXPECT_FLOAT_EQ(logprob_of(logits, 1), result.best[0].second);
}

}  // namespace
}  // namespace phial::generate
