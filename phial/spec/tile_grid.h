// The tiles that a picture is cut into for Phi-3-vision's encoder, and the tokens that it takes in a prompt.
//
// Source: the published image processor of Phi-3-vision (docs/sources.md). Threads: pure functions.
#pragma once

#include "phial/base/result.h"
#include "phial/spec/vision.h"

namespace phial::spec {

struct TileGrid {
  int rows = 0, cols = 0;
  int width = 0, height = 0;  // of the resized picture, which lies in the middle of rows x cols tiles
  int tiles() const { return rows * cols; }
};

// The grid of a picture of this size. kInvalid for one so long and thin that nothing of it would be left.
Result<TileGrid> tile_grid(const VisionSpec& spec, int width, int height);
// How many tokens it takes in a prompt.
int image_tokens(const VisionSpec& spec, const TileGrid& grid);

}  // namespace phial::spec
