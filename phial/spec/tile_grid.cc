#include "phial/spec/tile_grid.h"

#include <cmath>
#include <string>
#include <utility>

namespace phial::spec {

Result<TileGrid> tile_grid(const VisionSpec& spec, int width, int height) {
  const bool is_turned = width < height;
  if (is_turned) std::swap(width, height);
  const double ratio = static_cast<double>(width) / height;
  int scale = 1;
  while (scale * std::ceil(scale / ratio) <= spec.max_tiles) ++scale;
  --scale;
  TileGrid grid;
  grid.width = scale * spec.image_side;
  grid.height = static_cast<int>(grid.width / ratio);
  if (grid.height == 0) {
    return Error{Code::kInvalid,
                 "a picture of " + std::to_string(width) + " x " + std::to_string(height) +
                     " pixels is too long and thin to be seen",
                 "cut it into pieces"};
  }
  grid.cols = scale;
  grid.rows = (grid.height + spec.image_side - 1) / spec.image_side;
  if (is_turned) {
    std::swap(grid.width, grid.height);
    std::swap(grid.rows, grid.cols);
  }
  return grid;
}

int image_tokens(const VisionSpec& spec, const TileGrid& grid) {
  const int side = spec.tokens();
  // Rows of the page and of the whole view, each with a separator at its end, and one between the two.
  return grid.rows * side * (grid.cols * side + 1) + 1 + side * (side + 1);
}

}  // namespace phial::spec
