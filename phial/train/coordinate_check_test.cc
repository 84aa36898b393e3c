#include "phial/train/coordinate_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace phial::train {
namespace {

CoordinateCheckOptions quick() { return {.steps = 3, .seeds = 1}; }

TEST(CoordinateCheck, WithMupActivationsKeepTheirSize) {
  for (const bool small : {false, true}) {
    CoordinateCheckOptions options = quick();
    options.small = small;
    const auto check = check_coordinates(options);
    ASSERT_TRUE(check);
    EXPECT_LE(check->largest_slope, kFlatSlope) << small;
    EXPECT_GE(check->smallest_slope, -kFlatSlope) << small;
  }
}

TEST(CoordinateCheck, WithoutMupItSeesThemGrow) {
  for (const bool small : {false, true}) {
    CoordinateCheckOptions options = quick();
    options.small = small;
    options.mup = false;
    const auto check = check_coordinates(options);
    ASSERT_TRUE(check);
    EXPECT_GE(check->largest_slope, 0.25) << small;
  }
}

TEST(CoordinateCheck, WidthsThatHaveNoSlopeAreRefused) {
  EXPECT_FALSE(check_coordinates({.widths = {32}}));
  EXPECT_THAT(check_coordinates({.widths = {32, 40}}).error().text(), testing::HasSubstr("no multiple"));
  EXPECT_THAT(check_coordinates({.widths = {32, 64, 32}}).error().text(), testing::HasSubstr("named twice"));
  EXPECT_THAT(check_coordinates({.widths = {32, 1 << 30}}).error().text(), testing::HasSubstr("above 65536"));
}

TEST(CoordinateCheck, SizesThatAreNotFiniteAreNotFlat) {
  const auto check = check_coordinates({.widths = {16, 32}, .steps = 3, .seeds = 1, .lr = 1e30});
  ASSERT_FALSE(check);
  EXPECT_THAT(check.error().text(), testing::HasSubstr("zero or not finite"));
}

}  // namespace
}  // namespace phial::train
