#include "phial/tensor/half.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>

#include "phial/base/random.h"

namespace phial::tensor {
namespace {

TEST(Half, EveryHalfSurvivesTheWayThroughFloat) {
  for (uint32_t bits = 0; bits <= 0xFFFF; ++bits) {
    const auto half = static_cast<uint16_t>(bits);
    const float value = f16_to_f32(half);
    if (std::isnan(value)) {
      EXPECT_TRUE(std::isnan(f16_to_f32(f32_to_f16(value))));
    } else {
      EXPECT_EQ(f32_to_f16(value), half);
    }
  }
}

// The compiler's own half type is the oracle; on ARM GCC 12 knows it under its old name only.
#ifdef __aarch64__
using CompilersHalf = __fp16;
#else
using CompilersHalf = _Float16;
#endif

TEST(Half, AgreesWithTheCompilersHalfInBothDirections) {
  for (uint32_t bits = 0; bits <= 0xFFFF; ++bits) {
    const auto wanted = static_cast<float>(std::bit_cast<CompilersHalf>(static_cast<uint16_t>(bits)));
    if (std::isnan(wanted)) continue;
    EXPECT_EQ(bits_from_float(f16_to_f32(static_cast<uint16_t>(bits))), bits_from_float(wanted));
  }
  Random random(3);
  for (int i = 0; i < 1000000; ++i) {
    const float value = float_from_bits(static_cast<uint32_t>(random.next()));
    if (std::isnan(value)) continue;
    const auto wanted = std::bit_cast<uint16_t>(static_cast<CompilersHalf>(value));
    ASSERT_EQ(f32_to_f16(value), wanted) << value;
  }
}

TEST(Half, TiesRoundToEvenAndOverflowBecomesInfinity) {
  EXPECT_EQ(f32_to_f16(1.0F + 0x1p-11F), f32_to_f16(1.0F));
  EXPECT_EQ(f32_to_f16(1.0F + 3 * 0x1p-11F), f32_to_f16(1.0F + 0x1p-9F));
  EXPECT_EQ(f32_to_f16(65519.996F), 0x7BFF);
  EXPECT_EQ(f32_to_f16(65520.0F), 0x7C00);
  EXPECT_EQ(f32_to_f16(-INFINITY), 0xFC00);
  EXPECT_EQ(f32_to_f16(0x1p-25F), 0x0000);
  EXPECT_EQ(f32_to_f16(0x1.8p-24F), 0x0002);
}

TEST(Half, Bfloat16RoundsToNearestEvenAndKeepsNan) {
  EXPECT_EQ(f32_to_bf16(1.0F), 0x3F80);
  EXPECT_EQ(f32_to_bf16(float_from_bits(0x3F808000)), 0x3F80);
  EXPECT_EQ(f32_to_bf16(float_from_bits(0x3F818000)), 0x3F82);
  EXPECT_TRUE(std::isnan(bf16_to_f32(f32_to_bf16(float_from_bits(0x7F800001)))));
  EXPECT_EQ(bf16_to_f32(0xC040), -3.0F);
}

}  // namespace
}  // namespace phial::tensor
