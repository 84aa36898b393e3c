// A picture as Phi-3-vision's encoder reads it: enlarged or shrunk to a page of whole tiles, padded with white, cut up,
// and once more as a whole in one tile ("HD transform"). How large the page is, spec/tile_grid.h says.
//
// Shapes: S pixels a tile's side. Source: the published image processor of Phi-3-vision (docs/sources.md); resizing is
// Pillow's BILINEAR to the bit, the view of the whole torch's bicubic interpolation without antialiasing.
// Threads: pure functions.
#pragma once

#include <array>
#include <vector>

#include "phial/formats/image.h"

namespace phial::formats {

// Of red, green and blue in 0 to 1: a colour becomes (colour - mean) / deviation.
struct ColourScale {
  std::array<float, 3> mean{}, deviation{};
};

// The picture, resized to width x height, of which the longer one is a multiple of `side`, in the middle of whole
// tiles.
Image make_page(const Image& picture, int width, int height, int side);
// Normalised colours of a page of whole tiles, [1 + tiles, 3, S, S]: the view of the whole, then the tiles row by row.
std::vector<float> tile_pixels(const Image& page, int side, const ColourScale& scale);

}  // namespace phial::formats
