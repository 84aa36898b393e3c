#include "phial/formats/image.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>
#include <string>

#include "phial/base/mapped_file.h"

namespace phial::formats {
namespace {

using testing::HasSubstr;

namespace fs = std::filesystem;

const fs::path kFolder = fs::path(PHIAL_TESTDATA) / "images";

std::string file_text(const fs::path& path) {
  auto text = read_text_file(path);
  EXPECT_TRUE(text) << path;
  return text ? *std::move(text) : "";
}

std::span<const std::byte> bytes_of(const std::string& text) { return std::as_bytes(std::span(text)); }

// What Pillow found in the picture.
Image wanted_of(const fs::path& picture) {
  const std::string text = file_text(picture.string() + ".ppm");
  std::istringstream header(text);
  std::string magic;
  int width = 0, height = 0, most = 0;
  header >> magic >> width >> height >> most;
  const auto start = static_cast<size_t>(header.tellg()) + 1;
  return {.width = width, .height = height, .rgb = std::vector<uint8_t>(text.begin() + start, text.end())};
}

std::vector<fs::path> pictures() {
  std::vector<fs::path> all;
  for (const auto& entry : fs::directory_iterator(kFolder)) {
    if (entry.path().extension() != ".ppm") all.push_back(entry.path());
  }
  std::sort(all.begin(), all.end());
  return all;
}

std::string why_not(const std::string& bytes) {
  const auto image = decode_image(bytes_of(bytes));
  return image ? "it can be read" : image.error().text();
}

TEST(Image, PixelsOfEveryFormatAreThoseOfPillow) {
  for (const fs::path& path : pictures()) {
    const auto image = read_image(path);
    ASSERT_TRUE(image) << image.error().text();
    const Image wanted = wanted_of(path);
    EXPECT_EQ(image->width, wanted.width) << path;
    EXPECT_EQ(image->height, wanted.height) << path;
    EXPECT_TRUE(image->rgb == wanted.rgb) << path;
  }
}

TEST(Image, AFileCutShortAnywhereIsAnErrorOfOneLine) {
  for (const fs::path& path : pictures()) {
    const std::string whole = file_text(path);
    for (size_t length = 0; length < whole.size(); length += 1 + length / 40) {
      const auto image = decode_image(bytes_of(whole.substr(0, length)));
      if (image) continue;  // only what comes after the pixels is missing
      EXPECT_EQ(image.error().text().find('\n'), std::string::npos) << path;
    }
    EXPECT_NE(why_not(whole.substr(0, whole.size() / 2)), "it can be read") << path;
  }
}

TEST(Image, SomethingElseIsRefusedWithWhatIsRead) {
  EXPECT_THAT(why_not("%PDF-1.7\n"), HasSubstr("give a PNG, JPEG, WebP or GIF file"));
  EXPECT_THAT(why_not(""), HasSubstr("no picture"));
}

TEST(Image, TheErrorOfAFileNamesIt) {
  const auto none = read_image(kFolder / "none.png");
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, Code::kNotFound);
  EXPECT_THAT(none.error().text(), HasSubstr("none.png"));
}

// Sizes are believed only within bounds, before memory is taken.
TEST(Image, AHugePictureIsRefusedWithItsSize) {
  std::string gif = file_text(kFolder / "plain.gif");
  gif.replace(6, 4, "\xff\xff\xff\xff");
  EXPECT_THAT(why_not(gif), HasSubstr("65535 x 65535"));
  std::string jpeg = file_text(kFolder / "grey.jpg");
  const size_t frame = jpeg.find(std::string("\xff\xc0", 2));
  ASSERT_NE(frame, std::string::npos);
  jpeg.replace(frame + 5, 4, "\xff\xdc\xff\xdc");
  EXPECT_THAT(why_not(jpeg), HasSubstr("65500 x 65500"));
}

}  // namespace
}  // namespace phial::formats
