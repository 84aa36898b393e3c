#include "phial/model/image_tiles.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "phial/model/clip.h"
#include "phial/model/golden_files.h"

namespace phial::model {
namespace {

using testing::HasSubstr;

constexpr double kPixels = 1e-5;  // the fixture's own tolerance

class Tiles : public testing::Test {
 protected:
  formats::Image picture(const std::string& name) const {
    auto image = formats::read_image(folder / name);
    EXPECT_TRUE(image) << (image ? "" : image.error().text());
    return image ? *std::move(image) : formats::Image{};
  }

  TileGrid grid_of(const formats::Image& image) const {
    const auto grid = tile_grid(spec, image.width, image.height);
    EXPECT_TRUE(grid) << (grid ? "" : grid.error().text());
    return *grid;
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

  std::filesystem::path folder = golden("phi3-vision-like");
  Expected expected{folder / "expected"};
  spec::VisionSpec spec = *ImageEncoder::read_spec(*open_model(folder), 64);
};

TEST_F(Tiles, APictureTakesAsManyTokensAsTheReferenceSays) {
  for (const Json& one : expected.json()["notes"]["token_count_vectors"]) {
    spec.max_tiles = one["num_crops"];
    const auto grid = tile_grid(spec, one["width"], one["height"]);
    ASSERT_TRUE(grid);
    EXPECT_EQ(image_tokens(spec, *grid), one["num_img_tokens"].get<int>()) << one.dump();
  }
}

TEST_F(Tiles, ThePageIsTheReferencesToTheBit) {
  for (const std::string name : {"image0", "image1"}) {
    const formats::Image image = picture(name + ".png");
    const formats::Image page = make_page(spec, grid_of(image), image);
    EXPECT_TRUE(page == picture(name + "_hd.png")) << name;
  }
}

TEST_F(Tiles, PixelsAreNormalisedAndTheWholeIsSeenInOneTile) {
  const formats::Image lying = picture("image0.png"), standing = picture("image1.png");
  const size_t side = 336, tile = 3 * side * side;
  const std::vector<float> first = tile_pixels(spec, grid_of(lying), picture("image0_hd.png"));
  ASSERT_EQ(first.size(), 5 * tile);
  EXPECT_LE(largest_difference(kept_rows(first, side), expected.floats("image0.pixel_values")), kPixels);
  const std::vector<float> second = tile_pixels(spec, grid_of(standing), picture("image1_hd.png"));
  const auto one_tile = [&](size_t i) { return kept_rows(std::span(second).subspan(i * tile, tile), side); };
  EXPECT_LE(largest_difference(one_tile(0), expected.floats("image1.pixel_values_global")), kPixels);
  EXPECT_LE(largest_difference(one_tile(1), expected.floats("image1.pixel_values_tile1")), kPixels);
}

// A picture as large as its page is left as it is, and one of a single colour stays so however it is resized.
TEST_F(Tiles, ResizingKeepsWhatNeedsNoChange) {
  formats::Image exact{.width = 672, .height = 672, .rgb = std::vector<uint8_t>(672 * 672 * 3)};
  for (size_t i = 0; i < exact.rgb.size(); ++i) exact.rgb[i] = static_cast<uint8_t>(i * 31 + i / 97);
  EXPECT_TRUE(make_page(spec, grid_of(exact), exact) == exact);
  for (const auto& [width, height] : {std::pair{1000, 1000}, {37, 37}, {1, 1}}) {
    const formats::Image plain{
        .width = width, .height = height, .rgb = std::vector<uint8_t>(static_cast<size_t>(width * height) * 3, 77)};
    const formats::Image page = make_page(spec, grid_of(plain), plain);
    EXPECT_TRUE(std::ranges::all_of(page.rgb, [](uint8_t value) { return value == 77; })) << width;
  }
}

TEST_F(Tiles, AStandingPictureIsTheMirrorOfALyingOne) {
  const auto lying = tile_grid(spec, 500, 300), standing = tile_grid(spec, 300, 500);
  EXPECT_EQ(lying->rows, standing->cols);
  EXPECT_EQ(lying->cols, standing->rows);
  EXPECT_EQ(lying->width, standing->height);
}

TEST_F(Tiles, APictureTooThinToBeSeenIsAnErrorWithItsSize) {
  const auto grid = tile_grid(spec, 1, 9000);
  ASSERT_FALSE(grid);
  EXPECT_THAT(grid.error().text(), HasSubstr("9000 x 1"));
}

}  // namespace
}  // namespace phial::model
