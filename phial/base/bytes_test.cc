#include "phial/base/bytes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

namespace phial {
namespace {

constexpr std::array<std::byte, 8> kBytes = {std::byte{1}, std::byte{2},    std::byte{3}, std::byte{4},
                                             std::byte{0}, std::byte{0xFF}, std::byte{0}, std::byte{0x80}};

TEST(Reader, ReadsLittleEndianAndKeepsItsPlace) {
  Reader in(kBytes);
  EXPECT_EQ(*in.u32(), 0x04030201U);
  EXPECT_EQ(in.position(), 4U);
  EXPECT_EQ(*in.u8(), 0U);
  EXPECT_EQ(*in.u16(), 0x00FFU);
  EXPECT_EQ(in.left(), 1U);
  EXPECT_EQ(*in.read<int8_t>(), -128);
  EXPECT_EQ(in.left(), 0U);
}

TEST(Reader, AReadPastTheEndNamesThePlaceAndMovesNothing) {
  Reader in(kBytes);
  ASSERT_TRUE(in.take(6));
  const auto value = in.u32();
  ASSERT_FALSE(value);
  EXPECT_EQ(value.error().code, Code::kCorrupt);
  EXPECT_THAT(value.error().message, testing::HasSubstr("at byte 6 4 bytes are promised, 2 are left"));
  EXPECT_EQ(in.position(), 6U);
  EXPECT_TRUE(in.u16());
}

TEST(Reader, ALengthThatWouldWrapAroundIsPastTheEnd) {
  Reader in(kBytes);
  ASSERT_TRUE(in.u8());
  EXPECT_FALSE(in.take(~uint64_t{0}));
  EXPECT_FALSE(in.text(uint64_t{1} << 63));
  EXPECT_EQ(in.take(7)->size(), 7U);
  EXPECT_EQ(in.take(0)->size(), 0U);
}

TEST(Reader, NothingCanBeReadOfNothing) {
  Reader in({});
  EXPECT_FALSE(in.u8());
  EXPECT_TRUE(in.text(0)->empty());
}

TEST(Arithmetic, ProductsAndSumsThatDoNotFitAreTold) {
  uint64_t result = 0;
  EXPECT_TRUE(multiply_fits(uint64_t{1} << 32, (uint64_t{1} << 32) - 1, &result));
  EXPECT_EQ(result, ~uint64_t{0} - 0xFFFFFFFFU);
  EXPECT_FALSE(multiply_fits(uint64_t{1} << 32, uint64_t{1} << 32, &result));
  EXPECT_TRUE(add_fits(~uint64_t{0} - 1, 1, &result));
  EXPECT_FALSE(add_fits(~uint64_t{0}, 1, &result));
}

}  // namespace
}  // namespace phial
