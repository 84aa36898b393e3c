#include "phial/formats/ppm.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "phial/base/mapped_file.h"

namespace phial::formats {
namespace {

// Pillow wrote these.
TEST(Ppm, OthersPicturesComeBackToTheByte) {
  size_t found = 0;
  for (const auto& entry : std::filesystem::directory_iterator(std::string(PHIAL_TESTDATA) + "/images")) {
    if (entry.path().extension() != ".ppm") continue;
    const std::string bytes = *read_text_file(entry.path());
    const auto image = image_from_ppm(bytes);
    ASSERT_TRUE(image) << entry.path() << image.error().text();
    EXPECT_EQ(ppm_of(*image), bytes) << entry.path();
    ++found;
  }
  EXPECT_GT(found, 20U);
}

TEST(Ppm, WhatIsNotWrittenInOneWayIsRefused) {
  const std::string good = "P6\n2 1\n255\nabcdef";
  ASSERT_TRUE(image_from_ppm(good));
  for (size_t length = 0; length < good.size(); ++length) EXPECT_FALSE(image_from_ppm(good.substr(0, length)));
  for (const char* bad :
       {"P5\n2 1\n255\nabcdef", "P6\n2  1\n255\nabcdef", "P6\n+2 1\n255\nabcdef", "P6\n02 1\n255\nabcdef",
        "P6\n2 1\n254\nabcdef", "P6\n-2 -1\n255\nabcdef", "P6\n0 1\n255\n", "P6\n2 1\n255\nabcdefg",
        "P6\n99999999999 1\n255\nabcdef", "P6\n100000 100000\n255\nabcdef", "P6\n2147483647 2147483647\n255\nabcdef"}) {
    EXPECT_FALSE(image_from_ppm(bad)) << bad;
  }
}

}  // namespace
}  // namespace phial::formats
