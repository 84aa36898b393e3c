// Phial's own blocks against docs/formats.md, bit by bit: there is no other program to ask.
#include "phial/tensor/phial_blocks.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

#include "phial/base/random.h"
#include "phial/tensor/blocks.h"
#include "phial/tensor/codebooks.h"

namespace phial::tensor {
namespace {

// Bit i of a block, the first byte's lowest first.
int bit(const std::vector<std::byte>& block, size_t i) { return std::to_integer<int>(block[i / 8] >> (i % 8)) & 1; }

std::vector<std::byte> random_block(DType dtype, Random& random) {
  std::vector<std::byte> block(info(dtype).block_bytes);
  for (std::byte& one : block) one = static_cast<std::byte>(random.below(256));
  return block;
}

std::vector<float> decoded(DType dtype, const std::vector<std::byte>& block) {
  std::vector<float> out(kPhialBlock);
  decode_row(dtype, block.data(), 0, out);
  return out;
}

TEST(PhialBlocks, AScaleIsASignFourBitsOfExponentAndThreeOfFraction) {
  for (int f8 = 0; f8 < 256; ++f8) {
    const int exponent = (f8 >> 3) & 15, fraction = f8 & 7;
    const double magnitude = exponent == 0 ? std::ldexp(fraction, -19) : std::ldexp(1 + fraction / 8.0, exponent - 17);
    EXPECT_EQ(f8_to_f32(static_cast<uint8_t>(f8)), f8 < 128 ? magnitude : -magnitude) << f8;
    EXPECT_EQ(f8_from_f16(f32_to_f16(f8_to_f32(static_cast<uint8_t>(f8)))), f8);
  }
}

TEST(PhialBlocks, LevelsRiseAndFitSevenBitsWithTheirZero) {
  for (const std::span<const int8_t> levels : {std::span<const int8_t>(kPhialQ4Levels), {kPhialQ3Levels}}) {
    for (size_t i = 0; i < levels.size(); ++i) {
      EXPECT_GE(levels[i] + kCodeZero, 0);
      EXPECT_LE(levels[i] + kCodeZero, 127);
      if (i > 0) {
        EXPECT_LT(levels[i - 1], levels[i]);
      }
    }
  }
}

TEST(PhialBlocks, Q4IsPairsOfNumbersFourApart) {
  Random random(1);
  for (int round = 0; round < 50; ++round) {
    const auto block = random_block(DType::kPhialQ4, random);
    const auto found = decoded(DType::kPhialQ4, block);
    const float scale = f8_to_f32(std::to_integer<uint8_t>(block[0]));
    for (size_t k = 0; k < kPhialBlock; ++k) {
      const int byte = std::to_integer<int>(block[1 + 4 * (k / 8) + k % 4]);
      const int n = k % 8 < 4 ? byte % 16 : byte / 16;
      ASSERT_EQ(found[k], scale * static_cast<float>(kPhialQ4Levels[n])) << k;
    }
  }
}

TEST(PhialBlocks, Q3IsTwoNumbersAByteAndTwoMoreInWhatThreeBytesLeave) {
  Random random(2);
  for (int round = 0; round < 50; ++round) {
    const auto block = random_block(DType::kPhialQ3, random);
    const auto found = decoded(DType::kPhialQ3, block);
    const float scale = f8_to_f32(std::to_integer<uint8_t>(block[0]));
    for (size_t k = 0; k < kPhialBlock; ++k) {
      const size_t j = k % 4, step = k / 4;
      const auto at = [&](size_t plane, size_t place) { return bit(block, 8 * (1 + 4 * plane + j) + place); };
      size_t planes[3] = {step / 2, step / 2, step / 2}, places[3];
      for (size_t i = 0; i < 3; ++i) places[i] = 3 * (step % 2) + i;
      if (step >= 6) {
        planes[0] = planes[1] = step == 6 ? 0 : 2;
        planes[2] = 1;
        places[0] = 6;
        places[1] = 7;
        places[2] = step;
      }
      const int n = at(planes[0], places[0]) + 2 * at(planes[1], places[1]) + 4 * at(planes[2], places[2]);
      ASSERT_EQ(found[k], scale * static_cast<float>(kPhialQ3Levels[n])) << k;
    }
  }
}

TEST(PhialBlocks, WhatABlockSaysIsEncodedToWhatItSays) {
  Random random(3);
  for (const DType dtype : {DType::kPhialQ4, DType::kPhialQ3}) {
    for (int round = 0; round < 50; ++round) {
      // With the furthest level in it, by which the scale is found.
      std::vector<float> weights = decoded(dtype, random_block(dtype, random));
      const float scale = f8_to_f32(static_cast<uint8_t>(8 + random.below(120)));
      const float unit = std::fabs(scale);
      for (float& weight : weights) {
        const int8_t level =
            dtype == DType::kPhialQ4 ? kPhialQ4Levels[random.below(16)] : kPhialQ3Levels[random.below(8)];
        weight = unit * static_cast<float>(level);
      }
      weights[5] = unit * (dtype == DType::kPhialQ4 ? -58.0F : 50.0F);
      std::vector<std::byte> block(info(dtype).block_bytes);
      encode_row(dtype, weights, block.data());
      EXPECT_EQ(decoded(dtype, block), weights);
    }
  }
}

TEST(PhialBlocks, ARandomWeightIsOffByAtMostHalfTheWidestGapAndTheRoundingOfTheScale) {
  Random random(4);
  for (const auto& [dtype, gap, furthest] :
       {std::tuple{DType::kPhialQ4, 16.0F, 58.0F}, {DType::kPhialQ3, 20.0F, 50.0F}}) {
    for (int round = 0; round < 200; ++round) {
      std::vector<float> weights(kPhialBlock);
      float most = 0;
      for (float& weight : weights) {
        weight = static_cast<float>(random.uniform() * 4 - 2);
        most = std::max(most, std::fabs(weight));
      }
      std::vector<std::byte> block(info(dtype).block_bytes);
      encode_row(dtype, weights, block.data());
      const auto found = decoded(dtype, block);
      for (size_t k = 0; k < kPhialBlock; ++k) {
        EXPECT_NEAR(found[k], weights[k], most * (gap / 2 / furthest + 0.26F)) << info(dtype).name;
      }
    }
  }
}

}  // namespace
}  // namespace phial::tensor
