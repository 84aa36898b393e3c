#include "phial/spec/tile_grid.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "phial/base/json_file.h"

namespace phial::spec {
namespace {

using testing::HasSubstr;

class Grid : public testing::Test {
 protected:
  VisionSpec spec = {.image_side = 336, .patch_side = 14};
};

TEST_F(Grid, APictureTakesAsManyTokensAsTheReferenceSays) {
  const auto expected =
      read_json_if_there(std::filesystem::path(PHIAL_TESTDATA) / "golden" / "phi3-vision-like" / "expected.json");
  ASSERT_TRUE(expected && expected->is_object());
  for (const Json& one : (*expected)["notes"]["token_count_vectors"]) {
    spec.max_tiles = one["num_crops"];
    const auto grid = tile_grid(spec, one["width"], one["height"]);
    ASSERT_TRUE(grid);
    EXPECT_EQ(image_tokens(spec, *grid), one["num_img_tokens"].get<int>()) << one.dump();
  }
}

TEST_F(Grid, AStandingPictureIsTheMirrorOfALyingOne) {
  spec.max_tiles = 4;
  const auto lying = tile_grid(spec, 500, 300), standing = tile_grid(spec, 300, 500);
  EXPECT_EQ(lying->rows, standing->cols);
  EXPECT_EQ(lying->cols, standing->rows);
  EXPECT_EQ(lying->width, standing->height);
}

TEST_F(Grid, APictureTooThinToBeSeenIsAnErrorWithItsSize) {
  const auto grid = tile_grid(spec, 1, 9000);
  ASSERT_FALSE(grid);
  EXPECT_THAT(grid.error().text(), HasSubstr("9000 x 1"));
}

}  // namespace
}  // namespace phial::spec
