// A picture as Phi-3-vision's encoder reads it: enlarged or shrunk to a page of whole tiles, padded with white, cut up,
// and once more as a whole in one tile ("HD transform").
//
// Shapes: S pixels a tile's side. Source: the published image processor of Phi-3-vision (docs/sources.md); resizing is
// Pillow's BILINEAR to the bit, the view of the whole torch's bicubic interpolation without antialiasing.
// Threads: pure functions.
#pragma once

#include <vector>

#include "phial/base/result.h"
#include "phial/formats/image.h"
#include "phial/spec/vision.h"

namespace phial::model {

struct TileGrid {
  int rows = 0, cols = 0;
  int width = 0, height = 0;  // of the resized picture, which lies in the middle of rows x cols tiles
  int tiles() const { return rows * cols; }
};

// The grid of a picture of this size. kInvalid for one so long and thin that nothing of it would be left.
Result<TileGrid> tile_grid(const spec::VisionSpec& spec, int width, int height);
// How many tokens it takes in a prompt.
int image_tokens(const spec::VisionSpec& spec, const TileGrid& grid);

// The picture, resized and padded: [rows * S, cols * S].
formats::Image make_page(const spec::VisionSpec& spec, const TileGrid& grid, const formats::Image& picture);
// Normalised colours, [1 + tiles, 3, S, S]: the view of the whole, then the page's tiles row by row.
std::vector<float> tile_pixels(const spec::VisionSpec& spec, const TileGrid& grid, const formats::Image& page);

}  // namespace phial::model
