// Weight matrices, and their products with rows of activations.
//
// Letters: T tokens, D columns (inputs), N rows (outputs). Products are computed by tile rows (16 outputs); the result
// of a row of activations has the same bits however rows and tile rows are cut.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "phial/base/result.h"
#include "phial/base/thread_pool.h"
#include "phial/formats/checkpoint.h"
#include "phial/kernels/kernels.h"
#include "phial/model/aligned_bytes.h"
#include "phial/model/crew.h"
#include "phial/model/pack.h"

namespace phial::model {

inline constexpr size_t round_up(size_t n, size_t multiple) { return (n + multiple - 1) / multiple * multiple; }

// Rows of inputs in the form that a matrix wants: `floats` for kF32 and kStored, `blocks` for the integer layouts.
struct Activations {
  const float* floats = nullptr;
  size_t float_stride = 0;
  const kernels::Q8Block* blocks = nullptr;
  size_t block_stride = 0;

  Activations from_row(size_t row) const {
    return {floats != nullptr ? floats + row * float_stride : nullptr, float_stride,
            blocks != nullptr ? blocks + row * block_stride : nullptr, block_stride};
  }
};

// kCorrupt: `what` holds NaN or infinity, which would become a wrong answer without a word.
Error not_finite(std::string_view what);

// The stored bytes of a matrix come into memory, and leave it again (Checkpoint::hold, release).
Status hold(const formats::Checkpoint& checkpoint, const StoredRows& rows);
void release(const formats::Checkpoint& checkpoint, const StoredRows& rows);

class Matrix {
 public:
  // Packs `source` into `layout` with the pool, or keeps referring to it (kStored).
  static Result<Matrix> make(const StoredRows& source, Layout layout, ThreadPool& pool);

  size_t rows() const { return source_.rows; }
  size_t cols() const { return source_.cols; }
  size_t tile_rows() const { return round_up(source_.rows, kernels::kTileRows) / kernels::kTileRows; }
  size_t row_bytes_streamed() const;  // bytes read for one tile row

  // y[t * y_stride + 16 i + r] for tile rows i in [first, last); outputs beyond rows() are not written.
  // `scratch`: at least scratch_floats(tokens).
  void multiply(const kernels::KernelSet& kernels, const Activations& x, size_t tokens, size_t first, size_t last,
                float* y, size_t y_stride, std::span<float> scratch) const;
  size_t scratch_floats(size_t tokens) const;

 private:
  void multiply_tiles(const kernels::KernelSet& kernels, const std::byte* tiles, const Activations& x, size_t tokens,
                      size_t count, float* y, size_t y_stride) const;

  Layout layout_ = Layout::kStored;
  StoredRows source_;
  AlignedBytes tiles_;
};

// One or several matrices with the same inputs, their outputs side by side: q, k, v; gate, up.
class Linear {
 public:
  void append(Matrix matrix);

  size_t rows() const { return rows_; }
  size_t cols() const { return parts_.empty() ? 0 : parts_.front().cols(); }
  size_t tile_rows() const { return tile_rows_; }
  size_t scratch_floats(size_t tokens) const;
  // Tile rows that a piece of work should have, for `threads` threads and `tokens` tokens.
  Pieces pieces(int threads, size_t tokens) const;

  void multiply(const kernels::KernelSet& kernels, const Activations& x, size_t tokens, size_t first, size_t last,
                float* y, size_t y_stride, std::span<float> scratch) const;

 private:
  std::vector<Matrix> parts_;
  size_t rows_ = 0, tile_rows_ = 0;
};

}  // namespace phial::model
