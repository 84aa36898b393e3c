#include "phial/quantize/matrix.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "phial/base/random.h"
#include "phial/quantize/block_fit.h"
#include "phial/tensor/blocks.h"

namespace phial::quantize {
namespace {

using tensor::DType;

constexpr DType kTypes[] = {DType::kQ4_0, DType::kQ4_1, DType::kQ5_0, DType::kQ5_1,    DType::kQ8_0,
                            DType::kQ4_K, DType::kQ5_K, DType::kQ6_K, DType::kPhialQ4, DType::kPhialQ3};

// Scales in eight bits reach neither as far as halves nor as low.
bool has_small_scales(DType dtype) { return !tensor::grid_of(dtype)->levels.empty(); }

float normal(Random& random) {
  const double radius = std::sqrt(-2 * std::log(1 - random.uniform()));
  return static_cast<float>(radius * std::cos(6.283185307179586 * random.uniform()));
}

std::vector<float> normals(size_t count, uint64_t seed, float scale = 1) {
  Random random(seed);
  std::vector<float> values(count);
  for (float& value : values) value = scale * normal(random);
  return values;
}

struct Encoded {
  std::vector<std::byte> blocks;
  std::vector<float> decoded;
  Deviation deviation;
};

Encoded encode(std::span<const float> weights, size_t columns, DType dtype, const Weighing& weighing = {},
               int threads = 1) {
  ThreadPool pool(threads);
  Encoded out;
  out.blocks.resize(*tensor::bytes_of(dtype, weights.size()));
  out.deviation = quantize_rows(weights, columns, dtype, weighing, pool, {}, out.blocks.data());
  out.decoded.resize(weights.size());
  tensor::decode_row(dtype, out.blocks.data(), 0, out.decoded);
  return out;
}

double squared_distance(std::span<const float> a, std::span<const float> b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += std::pow(static_cast<double>(a[i]) - b[i], 2);
  return sum;
}

double relative_error(std::span<const float> weights, std::span<const float> decoded) {
  return std::sqrt(squared_distance(weights, decoded) /
                   squared_distance(weights, std::vector<float>(weights.size(), 0.0F)));
}

// Inputs [tokens, columns] in which a few directions carry most of what happens, as in a network.
std::vector<float> correlated_inputs(size_t tokens, size_t columns, uint64_t seed) {
  constexpr size_t kDirections = 12;
  const auto mix = normals(kDirections * columns, seed), sources = normals(tokens * kDirections, seed + 1);
  auto x = normals(tokens * columns, seed + 2, 0.3F);
  for (size_t t = 0; t < tokens; ++t) {
    for (size_t d = 0; d < kDirections; ++d) {
      for (size_t c = 0; c < columns; ++c) x[t * columns + c] += sources[t * kDirections + d] * mix[d * columns + c];
    }
  }
  return x;
}

Feedback feedback_of(std::span<const float> x, size_t columns, int threads = 1) {
  ThreadPool pool(threads);
  auto hessian = Panels::make(columns);
  EXPECT_TRUE(hessian);
  add_outer_products(x.data(), columns, x.size() / columns, pool, *hessian);
  auto feedback = Feedback::make(*std::move(hessian), pool);
  EXPECT_TRUE(feedback);
  return *std::move(feedback);
}

// The squared error of the outputs, computed the long way.
double output_error(std::span<const float> x, size_t columns, std::span<const float> a, std::span<const float> b) {
  double sum = 0;
  for (size_t t = 0; t < x.size() / columns; ++t) {
    for (size_t r = 0; r < a.size() / columns; ++r) {
      double difference = 0;
      for (size_t c = 0; c < columns; ++c) {
        const size_t at = r * columns + c;
        difference += static_cast<double>(x[t * columns + c]) * (static_cast<double>(a[at]) - b[at]);
      }
      sum += difference * difference;
    }
  }
  return sum;
}

class EveryType : public testing::TestWithParam<DType> {};

// Uniform rounding of a normal distribution to that many levels, with some room.
double tolerance(DType dtype) {
  switch (dtype) {
    case DType::kQ8_0:
      return 0.006;
    case DType::kQ6_K:
      return 0.02;
    case DType::kQ5_0:
    case DType::kQ5_1:
    case DType::kQ5_K:
      return 0.045;
    case DType::kPhialQ3:
      return 0.17;
    default:
      return 0.09;
  }
}

TEST_P(EveryType, NormalWeightsComeBackWithinTheTypesPrecisionAndTheMeasureIsTheTruth) {
  const size_t columns = 512;
  for (const float scale : {1.0F, 0.02F, has_small_scales(GetParam()) ? 4.0F : 300.0F}) {
    const auto weights = normals(columns * 5, 11, scale);
    const Encoded out = encode(weights, columns, GetParam());
    EXPECT_LT(relative_error(weights, out.decoded), tolerance(GetParam()));
    EXPECT_NEAR(out.deviation.relative(), relative_error(weights, out.decoded), 1e-9);
  }
}

TEST_P(EveryType, ZerosAndConstantRowsComeBack) {
  const bool small_scales = has_small_scales(GetParam());
  for (const float value : {0.0F, 1.0F, -1.0F, 0.0371F, small_scales ? -20.0F : -250.0F}) {
    const std::vector<float> weights(256, value);
    const Encoded out = encode(weights, 256, GetParam());
    const double allowed = (small_scales ? 0.025 : 6e-3) * std::fabs(value);
    for (const float decoded : out.decoded) ASSERT_NEAR(decoded, value, allowed) << value;
  }
}

TEST_P(EveryType, OneWeightAmongZerosComesBack) {
  for (const float value : {1.0F, -1.0F}) {
    std::vector<float> weights(256, 0.0F);
    weights[77] = value;
    const Encoded out = encode(weights, 256, GetParam());
    // The three bits of phial_q3 have no zero.
    const double allowed = GetParam() == DType::kPhialQ3 ? 0.25 : has_small_scales(GetParam()) ? 0.015 : 6e-3;
    EXPECT_LT(relative_error(weights, out.decoded), allowed);
  }
}

// Halves end at 65504 and begin at 6e-8, scales in eight bits at 0.47 and 2e-6: beyond them a block says the nearest it
// can, always with finite numbers.
TEST_P(EveryType, WeightsNearTheEndsOfTheScalesKeepTheirMeaning) {
  const bool small_scales = has_small_scales(GetParam());
  for (const float scale : {small_scales ? 6.0F : 1e4F, small_scales ? 3e-4F : 1e-4F, small_scales ? 2e-4F : 1e-5F}) {
    const auto weights = normals(512, 5, scale);
    EXPECT_LT(relative_error(weights, encode(weights, 256, GetParam()).decoded), 2 * tolerance(GetParam())) << scale;
  }
  for (const float scale : {1e7F, 1e-6F, 1e-7F, 1e-8F, 1e-30F, 1e-42F, 1e30F, 3e37F}) {
    const auto weights = normals(512, 5, scale);
    const Encoded out = encode(weights, 256, GetParam());
    for (const float value : out.decoded) ASSERT_TRUE(std::isfinite(value));
    EXPECT_LE(relative_error(weights, out.decoded), 1.0 + 1e-6) << scale;
  }
}

TEST_P(EveryType, WeightsThatLieOnAGridComeBackExactly) {
  // Levels that the type has, a step that half precision holds, and the ends of the range in every group.
  const tensor::BlockGrid& grid = *tensor::grid_of(GetParam());
  Random random(3);
  std::vector<float> weights(512);
  for (size_t k = 0; k < weights.size(); ++k) {
    const auto span = static_cast<uint64_t>(grid.highest - grid.lowest + 1);
    int level = grid.levels.empty() ? grid.lowest + static_cast<int>(random.below(span))
                                    : grid.levels[random.below(grid.levels.size())];
    if (k % grid.group == 0) level = grid.lowest;
    if (k % grid.group == 1) level = grid.highest;
    weights[k] = 0.25F * static_cast<float>(level);
  }
  EXPECT_LT(relative_error(weights, encode(weights, 256, GetParam()).decoded), 1e-3);
}

TEST_P(EveryType, CostsLowerTheErrorThatTheyWeigh) {
  const size_t columns = 256;
  const auto weights = normals(columns * 16, 31);
  Random random(32);
  std::vector<float> cost(columns);
  for (float& one : cost) one = static_cast<float>(std::exp(4 * random.uniform()));
  const auto weighed = [&](std::span<const float> decoded) {
    double sum = 0;
    for (size_t i = 0; i < decoded.size(); ++i) sum += cost[i % columns] * std::pow(weights[i] - decoded[i], 2);
    return sum;
  };
  const double even = weighed(encode(weights, columns, GetParam()).decoded);
  const double heeded = weighed(encode(weights, columns, GetParam(), {.cost = cost}).decoded);
  EXPECT_LT(heeded, even);
}

TEST_P(EveryType, FeedbackLowersTheErrorOfTheOutputsAndMeasuresIt) {
  const size_t columns = 512, rows = 24;
  const auto weights = normals(columns * rows, 41, 0.05F);
  const auto x = correlated_inputs(1024, columns, 42);
  const Feedback feedback = feedback_of(x, columns);
  const Encoded plain = encode(weights, columns, GetParam());
  const Encoded fed = encode(weights, columns, GetParam(), {.feedback = &feedback});
  const double before = output_error(x, columns, weights, plain.decoded);
  const double after = output_error(x, columns, weights, fed.decoded);
  EXPECT_LT(after, 0.5 * before);

  // On text that calibration has not seen, too.
  const auto others = correlated_inputs(2048, columns, 42);
  const std::span<const float> unseen = std::span<const float>(others).subspan(1024 * columns);
  EXPECT_LT(output_error(unseen, columns, weights, fed.decoded),
            0.6 * output_error(unseen, columns, weights, plain.decoded));

  // What is reported is the error over H with its damping: that of the outputs and a share of that of the weights.
  double trace = 0;
  for (const float value : x) trace += static_cast<double>(value) * value;
  const double damping = 0.01 * trace / columns;
  const double wanted = after + damping * squared_distance(weights, fed.decoded);
  EXPECT_NEAR(fed.deviation.output_error, wanted, 1e-3 * wanted);
  const std::vector<float> none(weights.size(), 0.0F);
  const double reference = output_error(x, columns, weights, none) + damping * squared_distance(weights, none);
  EXPECT_NEAR(fed.deviation.output_reference, reference, 1e-3 * reference);
}

TEST_P(EveryType, ThreadsAndCompanyDoNotChangeABit) {
  const size_t columns = 256, rows = 70;
  const auto weights = normals(columns * rows, 51);
  const auto x = correlated_inputs(300, columns, 52);
  const Feedback feedback = feedback_of(x, columns), again = feedback_of(x, columns, 3);
  const Encoded one = encode(weights, columns, GetParam(), {.feedback = &feedback});
  const Encoded three = encode(weights, columns, GetParam(), {.feedback = &again}, 3);
  EXPECT_EQ(one.blocks, three.blocks);
  EXPECT_EQ(one.deviation.output_error, three.deviation.output_error);
  const std::span<const float> last = std::span<const float>(weights).last(columns);
  const Encoded alone = encode(last, columns, GetParam(), {.feedback = &feedback});
  EXPECT_TRUE(std::equal(alone.blocks.begin(), alone.blocks.end(), one.blocks.end() - alone.blocks.size()));
  EXPECT_EQ(encode(weights, columns, GetParam()).blocks, encode(weights, columns, GetParam(), {}, 3).blocks);
}

INSTANTIATE_TEST_SUITE_P(Types, EveryType, testing::ValuesIn(kTypes),
                         [](const auto& param) { return std::string(tensor::info(param.param).name); });

TEST(QuantizeRows, IsBetterThanTheBook) {
  for (const DType dtype : {DType::kQ4_0, DType::kQ4_1, DType::kQ5_0, DType::kQ5_1, DType::kQ8_0}) {
    const auto weights = normals(4096, 21, 0.05F);
    std::vector<std::byte> blocks(*tensor::bytes_of(dtype, weights.size()));
    tensor::encode_row(dtype, weights, blocks.data());
    std::vector<float> by_the_book(weights.size());
    tensor::decode_row(dtype, blocks.data(), 0, by_the_book);
    EXPECT_LT(squared_distance(weights, encode(weights, 4096, dtype).decoded), squared_distance(weights, by_the_book))
        << tensor::info(dtype).name;
  }
}

TEST(QuantizeRows, InputsThatNeverOccurAskForNothing) {
  const size_t columns = 64;
  const auto weights = normals(columns * 3, 61);
  const std::vector<float> silence(columns * 8, 0.0F);
  const Feedback feedback = feedback_of(silence, columns);
  EXPECT_EQ(encode(weights, columns, DType::kQ4_0, {.feedback = &feedback}).blocks,
            encode(weights, columns, DType::kQ4_0).blocks);
}

TEST(QuantizeRows, StopsWhenAsked) {
  ThreadPool pool(2);
  std::stop_source stop;
  stop.request_stop();
  const auto weights = normals(64 * 100, 71);
  std::vector<std::byte> blocks(*tensor::bytes_of(DType::kQ8_0, weights.size()), std::byte{0});
  quantize_rows(weights, 64, DType::kQ8_0, {}, pool, stop.get_token(), blocks.data());
  EXPECT_EQ(blocks, std::vector<std::byte>(blocks.size(), std::byte{0}));
}

TEST(Feedback, TheFactorsGiveTheHessianBack) {
  const size_t columns = 48;
  const auto x = correlated_inputs(200, columns, 81);
  const Feedback feedback = feedback_of(x, columns);
  double trace = 0;
  for (const float value : x) trace += static_cast<double>(value) * value;
  const auto factor = [&](size_t j, size_t k) {
    return j == k ? 1.0 : j < k ? static_cast<double>(feedback.factor().at(j, k)) : 0.0;
  };
  for (size_t i = 0; i < columns; ++i) {
    for (size_t j = i; j < columns; ++j) {
      double wanted = i == j ? 0.01 * trace / columns : 0, found = 0;
      for (size_t t = 0; t < 200; ++t) wanted += static_cast<double>(x[t * columns + i]) * x[t * columns + j];
      for (size_t k = 0; k < columns; ++k) found += factor(i, k) * feedback.cost()[k] * factor(j, k);
      ASSERT_NEAR(found, wanted, 2e-5 * trace / columns) << i << ", " << j;
    }
  }
}

TEST(Feedback, WhatIsNotANumberIsRefused) {
  ThreadPool pool(1);
  auto hessian = Panels::make(32);
  ASSERT_TRUE(hessian);
  hessian->at(3, 3) = INFINITY;
  EXPECT_FALSE(Feedback::make(*std::move(hessian), pool));
}

}  // namespace
}  // namespace phial::quantize
