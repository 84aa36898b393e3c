#include "phial/model/clip.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "phial/formats/image_tiles.h"
#include "phial/model/golden_files.h"

namespace phial::model {
namespace {

using testing::HasSubstr;

constexpr double kExactPath = 1e-4;  // the fixture's own tolerance

class Clip : public testing::Test {
 protected:
  std::unique_ptr<ImageEncoder> load(Precision precision, ThreadPool& threads) const {
    const auto checkpoint = open_model(folder);
    const auto spec = ImageEncoder::read_spec(*checkpoint, 64);
    EXPECT_TRUE(spec) << (spec ? "" : spec.error().text());
    auto encoder = ImageEncoder::load(checkpoint, *spec, precision, threads);
    EXPECT_TRUE(encoder) << (encoder ? "" : encoder.error().text());
    return *std::move(encoder);
  }

  formats::Image picture(const std::string& name) const { return *formats::read_image(folder / name); }

  std::vector<float> encode(const ImageEncoder& encoder, const std::string& name) const {
    const formats::Image image = picture(name);
    const auto grid = spec::tile_grid(encoder.spec(), image.width, image.height);
    auto rows =
        encoder.encode(*grid, formats::make_page(image, grid->width, grid->height, encoder.spec().image_side), {});
    EXPECT_TRUE(rows) << (rows ? "" : rows.error().text());
    return rows ? *std::move(rows) : std::vector<float>();
  }

  std::filesystem::path folder = golden("phi3-vision-like");
  Expected expected{folder / "expected"};
  ThreadPool pool{2};
};

TEST_F(Clip, FeaturesOfTilesAreThoseOfTheReference) {
  const auto encoder = load(Precision::kExact, pool);
  const formats::Image page = picture("image0_hd.png");
  const auto features = encoder->features(
      formats::tile_pixels(page, encoder->spec().image_side, {encoder->spec().mean, encoder->spec().deviation}), {});
  ASSERT_TRUE(features);
  const size_t tile = 576 * 32;
  ASSERT_EQ(features->size(), 5 * tile);
  const auto first = std::span(*features).first(tile), second = std::span(*features).subspan(tile, tile);
  EXPECT_LE(largest_difference(first, expected.floats("image0.clip_features_global")), kExactPath);
  EXPECT_LE(largest_difference(second, expected.floats("image0.clip_features_tile1")), kExactPath);
}

TEST_F(Clip, RowsOfAPictureAreThoseOfTheReference) {
  const auto encoder = load(Precision::kExact, pool);
  for (const std::string name : {"image0", "image1"}) {
    EXPECT_LE(largest_difference(encode(*encoder, name + ".png"), expected.floats(name + ".image_tokens")), kExactPath)
        << name;
  }
}

TEST_F(Clip, TheFastPathStaysNear) {
  const auto encoder = load(Precision::kFast, pool);
  const auto wanted = expected.floats("image0.image_tokens");
  double squares = 0;
  for (const float value : wanted) squares += static_cast<double>(value) * static_cast<double>(value);
  const double spread = std::sqrt(squares / static_cast<double>(wanted.size()));
  EXPECT_LE(rms_difference(encode(*encoder, "image0.png"), wanted), 0.02 * spread);
}

TEST_F(Clip, ThreadsChangeNothing) {
  for (const Precision precision : {Precision::kExact, Precision::kFast}) {
    const auto two = encode(*load(precision, pool), "image1.png");
    for (const int threads : {1, 7}) {
      ThreadPool others(threads);
      EXPECT_TRUE(encode(*load(precision, others), "image1.png") == two) << threads;
    }
  }
}

TEST_F(Clip, ItStopsBetweenTiles) {
  std::stop_source stop;
  stop.request_stop();
  const std::vector<float> pixels(size_t{3} * 336 * 336);
  const auto stopped = load(Precision::kFast, pool)->features(pixels, stop.get_token());
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().code, Code::kCancelled);
}

TEST_F(Clip, TheSpecIsWhatTheWeightsSay) {
  const auto spec = ImageEncoder::read_spec(*open_model(folder), 64);
  ASSERT_TRUE(spec);
  EXPECT_EQ(spec->image_side, 336);
  EXPECT_EQ(spec->patch_side, 14);
  EXPECT_EQ(spec->hidden_dim, 32);
  EXPECT_EQ(spec->ffn_dim, 64);
  EXPECT_EQ(spec->n_heads, 2);
  EXPECT_EQ(spec->n_layers, 2);  // of three: the feature is the last but one hidden state
  EXPECT_EQ(spec->max_tiles, 4);
}

TEST_F(Clip, AProjectorOfAnotherWidthIsRefusedByName) {
  const auto checkpoint = open_model(folder);
  const auto spec = ImageEncoder::read_spec(*checkpoint, 80);
  ASSERT_TRUE(spec);
  for (const auto& error : {ImageEncoder::load(checkpoint, *spec, Precision::kFast, pool).error(),
                            ImageEncoder::bytes(*checkpoint, *spec, Precision::kFast, 2).error()}) {
    EXPECT_THAT(error.text(), HasSubstr("img_projection.0.weight"));
  }
}

}  // namespace
}  // namespace phial::model
