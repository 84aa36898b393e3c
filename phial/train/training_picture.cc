#include "phial/train/training_picture.h"

#include <xxhash.h>

#include <algorithm>

#include "phial/formats/image_tiles.h"

namespace phial::train {
namespace {

uint64_t hash_of_pixels(const formats::Image& image) {
  return XXH3_64bits_withSeed(image.rgb.data(), image.rgb.size(), static_cast<uint64_t>(image.width));
}

}  // namespace

Result<TrainingPicture> TrainingPicture::open(const std::filesystem::path& file, const spec::VisionSpec& spec) {
  PHIAL_TRY(const formats::Image image, formats::read_image(file));
  TrainingPicture picture;
  picture.file_ = file;
  picture.spec_ = spec;
  auto grid = tile_grid(spec, image.width, image.height);
  if (!grid) return std::move(grid).error().in(file.string());
  picture.grid_ = *grid;
  picture.hash_ = hash_of_pixels(image);
  return picture;
}

Result<at::Tensor> TrainingPicture::cut() const {
  PHIAL_TRY(const formats::Image image, formats::read_image(file_));
  if (hash_of_pixels(image) != hash_) {
    return Error{Code::kInvalid, file_.string() + " is another picture than when the run began", "put it back"};
  }
  const int64_t side = spec_.image_side;
  const std::vector<float> pixels =
      formats::tile_pixels(formats::make_page(image, grid_.width, grid_.height, spec_.image_side), spec_.image_side,
                           {spec_.mean, spec_.deviation});
  at::Tensor tiles = at::empty({1 + int64_t{grid_.tiles()}, 3, side, side}, at::kFloat);
  std::ranges::copy(pixels, tiles.mutable_data_ptr<float>());
  return tiles;
}

Status cut_pictures(Batch& batch) {
  for (BatchPicture& picture : batch.pictures) {
    PHIAL_TRY(picture.pixels, picture.source->cut());
  }
  return ok();
}

}  // namespace phial::train
