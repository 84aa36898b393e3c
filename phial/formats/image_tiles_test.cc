#include "phial/formats/image_tiles.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <span>
#include <string>

#include "phial/formats/checkpoint.h"

namespace phial::formats {
namespace {

constexpr double kPixels = 1e-5;  // the fixture's own tolerance
constexpr int kSide = 336;
const ColourScale kOfClip = {{0.48145466F, 0.4578275F, 0.40821073F}, {0.26862954F, 0.26130258F, 0.27577711F}};

class Tiles : public testing::Test {
 protected:
  Image picture(const std::string& name) const {
    auto image = read_image(folder / name);
    EXPECT_TRUE(image) << (image ? "" : image.error().text());
    return image ? *std::move(image) : Image{};
  }

  // The largest difference from a tensor of the fixture.
  double difference(std::span<const float> found, const std::string& name) const {
    const auto file = Checkpoint::open(folder / "expected.safetensors");
    const Tensor* tensor = file->find(name);
    std::vector<float> wanted(tensor->elements());
    if (wanted.size() != found.size() || tensor->bytes.size() != wanted.size() * sizeof(float)) return INFINITY;
    std::memcpy(wanted.data(), tensor->bytes.data(), tensor->bytes.size());
    double most = 0;
    for (size_t i = 0; i < wanted.size(); ++i) {
      most = std::max(most, std::fabs(static_cast<double>(found[i]) - static_cast<double>(wanted[i])));
    }
    return most;
  }

  // Every 24th row of each plane: what the copy of the fixture keeps.
  static std::vector<float> kept_rows(std::span<const float> planes, size_t side) {
    std::vector<float> out;
    for (size_t at = 0; at < planes.size(); at += 24 * side) {
      out.insert(out.end(), planes.begin() + static_cast<std::ptrdiff_t>(at),
                 planes.begin() + static_cast<std::ptrdiff_t>(at + side));
    }
    return out;
  }

  std::filesystem::path folder = std::filesystem::path(PHIAL_TESTDATA) / "golden" / "phi3-vision-like";
};

TEST_F(Tiles, ThePageIsTheReferencesToTheBit) {
  EXPECT_TRUE(make_page(picture("image0.png"), 672, 403, kSide) == picture("image0_hd.png"));
  EXPECT_TRUE(make_page(picture("image1.png"), 384, 672, kSide) == picture("image1_hd.png"));
}

TEST_F(Tiles, PixelsAreNormalisedAndTheWholeIsSeenInOneTile) {
  const size_t side = kSide, tile = 3 * side * side;
  const std::vector<float> first = tile_pixels(picture("image0_hd.png"), kSide, kOfClip);
  ASSERT_EQ(first.size(), 5 * tile);
  EXPECT_LE(difference(kept_rows(first, side), "image0.pixel_values"), kPixels);
  const std::vector<float> second = tile_pixels(picture("image1_hd.png"), kSide, kOfClip);
  const auto one_tile = [&](size_t i) { return kept_rows(std::span(second).subspan(i * tile, tile), side); };
  EXPECT_LE(difference(one_tile(0), "image1.pixel_values_global"), kPixels);
  EXPECT_LE(difference(one_tile(1), "image1.pixel_values_tile1"), kPixels);
}

// A picture as large as its page is left as it is, and one of a single colour stays so however it is resized.
TEST_F(Tiles, ResizingKeepsWhatNeedsNoChange) {
  Image exact{.width = 672, .height = 672, .rgb = std::vector<uint8_t>(672 * 672 * 3)};
  for (size_t i = 0; i < exact.rgb.size(); ++i) exact.rgb[i] = static_cast<uint8_t>(i * 31 + i / 97);
  EXPECT_TRUE(make_page(exact, 672, 672, kSide) == exact);
  for (const auto& [width, height] : {std::pair{1000, 1000}, {37, 37}, {1, 1}}) {
    const Image plain{
        .width = width, .height = height, .rgb = std::vector<uint8_t>(static_cast<size_t>(width * height) * 3, 77)};
    const Image page = make_page(plain, 672, 672, kSide);
    EXPECT_TRUE(std::ranges::all_of(page.rgb, [](uint8_t value) { return value == 77; })) << width;
  }
}

}  // namespace
}  // namespace phial::formats
