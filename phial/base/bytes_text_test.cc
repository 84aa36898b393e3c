#include "phial/base/bytes_text.h"

#include <gtest/gtest.h>

namespace phial {
namespace {

TEST(BytesText, SingleBytesHaveNoDecimals) {
  EXPECT_EQ(bytes_text(0), "0 B");
  EXPECT_EQ(bytes_text(999), "999 B");
}

TEST(BytesText, TheUnitGrowsWhereTheRoundedNumberWouldHaveFourDigits) {
  EXPECT_EQ(bytes_text(1000), "1.0 kB");
  EXPECT_EQ(bytes_text(999'499), "999 kB");
  EXPECT_EQ(bytes_text(999'500), "1.0 MB");
  EXPECT_EQ(bytes_text(1'540'000'000), "1.5 GB");
}

TEST(BytesText, FromAHundredOnThereAreNoDecimals) {
  EXPECT_EQ(bytes_text(99'940), "99.9 kB");
  EXPECT_EQ(bytes_text(99'960), "100 kB");
}

TEST(BytesText, BeyondTheLastUnitTheNumberGrows) { EXPECT_EQ(bytes_text(UINT64_MAX), "18446744 TB"); }

}  // namespace
}  // namespace phial
