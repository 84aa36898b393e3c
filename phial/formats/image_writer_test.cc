#include "phial/formats/image_writer.h"

#include <gtest/gtest.h>

#include <cstdint>

#include "phial/base/temp_folder_for_test.h"

namespace phial::formats {
namespace {

TEST(ImageWriter, WhatIsWrittenIsReadAgain) {
  const TempFolder folder;
  Image image{.width = 7, .height = 5, .rgb = std::vector<uint8_t>(7 * 5 * 3)};
  for (size_t i = 0; i < image.rgb.size(); ++i) image.rgb[i] = static_cast<uint8_t>(i * 37);
  ASSERT_TRUE(write_png(folder / "a.png", image));
  const auto read = read_image(folder / "a.png");
  ASSERT_TRUE(read) << read.error().text();
  EXPECT_EQ(*read, image);
}

TEST(ImageWriter, AFileThatIsThereStays) {
  const TempFolder folder;
  const Image image{.width = 1, .height = 1, .rgb = {1, 2, 3}};
  ASSERT_TRUE(write_png(folder / "a.png", image));
  EXPECT_FALSE(write_png(folder / "a.png", image));
  EXPECT_EQ(write_png(folder / "none/a.png", image).error().code, Code::kNotFound);
}

}  // namespace
}  // namespace phial::formats
