// A picture that training data names: looked at once to know its size and that it can be read, and cut into tiles anew
// whenever a batch with it is computed, so that the pictures of a data set need no memory.
//
// Errors: those of formats/image; kInvalid for one too thin to be seen, or that changed since. Threads: immutable.
#pragma once

#include <cstdint>
#include <filesystem>

#include "phial/base/result.h"
#include "phial/spec/tile_grid.h"
#include "phial/train/batch.h"

namespace phial::train {

class TrainingPicture {
 public:
  static Result<TrainingPicture> open(const std::filesystem::path& file, const spec::VisionSpec& spec);

  const spec::TileGrid& grid() const { return grid_; }
  int tokens() const { return image_tokens(spec_, grid_); }
  uint64_t hash() const { return hash_; }  // of its pixels

  // [1 + tiles, 3, S, S].
  Result<at::Tensor> cut() const;

 private:
  TrainingPicture() = default;

  std::filesystem::path file_;
  spec::VisionSpec spec_;
  spec::TileGrid grid_;
  uint64_t hash_ = 0;
};

// The pixels of all pictures of a batch.
Status cut_pictures(Batch& batch);

}  // namespace phial::train
