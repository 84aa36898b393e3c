#include "phial/data/font.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "phial/base/mapped_file.h"
#include "phial/base/temp_folder_for_test.h"

namespace phial::data {
namespace {

using testing::HasSubstr;

TEST(Font, TextStaysInTheBoxThatItsMeasuresTell) {
  const auto fonts = installed_fonts();
  ASSERT_TRUE(fonts) << fonts.error().text();
  for (const auto& path : *fonts) {
    auto font = Font::open(path);
    ASSERT_TRUE(font) << font.error().text();
    for (const bool upright : {false, true}) {
      Canvas canvas(100, 100, {255, 255, 255});
      font->draw(canvas, {upright ? 50.0 : 10.0, upright ? 90.0 : 50.0}, "HXE0123", 14, {0, 0, 0}, upright);
      const double width = font->text_width("HXE0123", 14), height = font->capital_height(14);
      size_t inside = 0;
      for (int y = 0; y < 100; ++y) {
        for (int x = 0; x < 100; ++x) {
          if (canvas.image().rgb[static_cast<size_t>(y * 100 + x) * 3] > 200) continue;
          ++inside;
          const double along = upright ? 90 - y : x - 10, up = upright ? 50 - x : 50 - y;
          EXPECT_TRUE(along >= -1 && along <= width + 2 && up >= -1 && up <= height + 1) << path << x << " " << y;
        }
      }
      EXPECT_GT(inside, 100U) << path;
    }
  }
}

TEST(Font, WhatIsNoFontIsAnErrorThatNamesIt) {
  const TempFolder folder;
  EXPECT_EQ(Font::open(folder / "none.ttf").error().code, Code::kNotFound);
  std::ofstream(folder / "a.ttf") << "this is no font at all";
  const auto font = Font::open(folder / "a.ttf");
  ASSERT_FALSE(font);
  EXPECT_EQ(font.error().code, Code::kCorrupt);
  EXPECT_THAT(font.error().text(), HasSubstr("a.ttf"));
}

TEST(Font, DamagedGlyphsAreAnErrorThatNamesTheFont) {
  const auto fonts = installed_fonts();
  ASSERT_TRUE(fonts) << fonts.error().text();
  std::string bytes = *read_text_file(fonts->front());
  // The table directory: entries of 16 bytes behind the first 12, with a tag, a sum, an offset and a length.
  const size_t entry = bytes.find("glyf");
  ASSERT_LT(entry, 1000U);
  const auto number_at = [&](size_t at) {
    size_t number = 0;
    for (size_t i = 0; i < 4; ++i) number = number * 256 + static_cast<unsigned char>(bytes[at + i]);
    return number;
  };
  const size_t offset = number_at(entry + 8), length = number_at(entry + 12);
  bytes.replace(offset, length, length, '\xff');
  const TempFolder folder;
  std::ofstream(folder / "damaged.ttf", std::ios::binary) << bytes;
  const auto font = Font::open(folder / "damaged.ttf");
  ASSERT_FALSE(font);
  EXPECT_EQ(font.error().code, Code::kCorrupt);
  EXPECT_THAT(font.error().text(), HasSubstr("damaged.ttf"));
}

}  // namespace
}  // namespace phial::data
