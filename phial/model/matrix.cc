#include "phial/model/matrix.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <string>
#include <utility>

namespace phial::model {
namespace {

using kernels::kBlock;
using kernels::kTileRows;

}  // namespace

Error not_finite(std::string_view what) {
  return Error{Code::kCorrupt, std::string(what) + " holds values that are not finite numbers",
               "the model is damaged: get it again"};
}

Status hold(const formats::Checkpoint& checkpoint, const StoredRows& rows) {
  for (const auto piece : rows.pieces()) PHIAL_CHECKED(checkpoint.hold(piece));
  return ok();
}

void release(const formats::Checkpoint& checkpoint, const StoredRows& rows) {
  for (const auto piece : rows.pieces()) checkpoint.release(piece);
}

Result<Matrix> Matrix::make(const StoredRows& source, Layout layout, ThreadPool& pool) {
  Matrix matrix;
  matrix.layout_ = layout;
  matrix.source_ = source;
  if (layout == Layout::kStored) return matrix;
  const uint64_t in_all = tile_row_bytes(layout, source.cols) * matrix.tile_rows();
  PHIAL_TRY(matrix.tiles_, AlignedBytes::make(in_all, "a weight matrix", AlignedBytes::Pages::kHuge));
  const auto bytes = static_cast<size_t>(tile_row_bytes(layout, source.cols));
  std::atomic<bool> finite = true;
  pool.parallel_for(matrix.tile_rows(), 4, [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) {
      std::byte* tile_row = matrix.tiles_.data() + i * bytes;
      pack_tile_row(source, layout, i, tile_row);
      if (!is_finite(layout, tile_row, source.cols)) finite = false;
    }
  });
  if (!finite) return not_finite("a weight matrix");
  matrix.source_.bytes = nullptr;
  matrix.source_.added = nullptr;
  return matrix;
}

size_t Matrix::row_bytes_streamed() const {
  if (layout_ == Layout::kStored) return source_.row_bytes * kTileRows;
  return static_cast<size_t>(tile_row_bytes(layout_, source_.cols));
}

size_t Matrix::scratch_floats(size_t tokens) const {
  const size_t decoded = layout_ == Layout::kStored ? source_.cols * kTileRows : 0;
  return decoded + tokens * kTileRows;
}

void Matrix::multiply_tiles(const kernels::KernelSet& kernels, const std::byte* tiles, const Activations& x,
                            size_t tokens, size_t count, float* y, size_t y_stride) const {
  if (layout_ == Layout::kF32 || layout_ == Layout::kStored) {
    kernels.gemm_f32(reinterpret_cast<const float*>(tiles), {.D = source_.cols,
                                                             .tile_rows = count,
                                                             .n_tokens = tokens,
                                                             .x = x.floats,
                                                             .x_stride = x.float_stride,
                                                             .y = y,
                                                             .y_stride = y_stride});
    return;
  }
  const kernels::GemmArgs args = {.blocks = round_up(source_.cols, kBlock) / kBlock,
                                  .tile_rows = count,
                                  .n_tokens = tokens,
                                  .x = x.blocks,
                                  .x_stride = x.block_stride,
                                  .y = y,
                                  .y_stride = y_stride};
  if (layout_ == Layout::kQ4) {
    kernels.gemm_q4(reinterpret_cast<const kernels::Q4Tile*>(tiles), args);
  } else if (layout_ == Layout::kQ4Min) {
    kernels.gemm_q4_min(reinterpret_cast<const kernels::Q4MinTile*>(tiles), args);
  } else if (layout_ == Layout::kPhialQ4) {
    kernels.gemm_phial_q4(reinterpret_cast<const kernels::PhialQ4Tile*>(tiles), args);
  } else if (layout_ == Layout::kPhialQ3) {
    kernels.gemm_phial_q3(reinterpret_cast<const kernels::PhialQ3Tile*>(tiles), args);
  } else {
    kernels.gemm_q8(reinterpret_cast<const kernels::Q8Tile*>(tiles), args);
  }
}

void Matrix::multiply(const kernels::KernelSet& kernels, const Activations& x, size_t tokens, size_t first, size_t last,
                      float* y, size_t y_stride, std::span<float> scratch) const {
  const bool is_packed = layout_ != Layout::kStored;
  float* edge = scratch.data() + (is_packed ? 0 : source_.cols * kTileRows);
  const auto bytes = static_cast<size_t>(tile_row_bytes(layout_, source_.cols));
  const size_t whole = rows() / kTileRows;  // tile rows without padding
  for (size_t i = first; i < last;) {
    const size_t count = !is_packed || i >= whole ? 1 : std::min(last, whole) - i;
    const std::byte* tiles = tiles_.data() + i * bytes;
    if (!is_packed) {
      tiles = reinterpret_cast<std::byte*>(scratch.data());
      pack_tile_row(source_, Layout::kF32, i, reinterpret_cast<std::byte*>(scratch.data()));
    }
    if (i < whole) {
      multiply_tiles(kernels, tiles, x, tokens, count, y + i * kTileRows, y_stride);
    } else {  // the padded outputs of the last tile row have no place in y
      multiply_tiles(kernels, tiles, x, tokens, 1, edge, kTileRows);
      const size_t used = rows() - whole * kTileRows;
      for (size_t t = 0; t < tokens; ++t) {
        std::memcpy(y + t * y_stride + i * kTileRows, edge + t * kTileRows, used * sizeof(float));
      }
    }
    i += count;
  }
}

void Linear::append(Matrix matrix) {
  rows_ += matrix.rows();
  tile_rows_ += matrix.tile_rows();
  parts_.push_back(std::move(matrix));
}

size_t Linear::scratch_floats(size_t tokens) const {
  size_t most = 0;
  for (const Matrix& part : parts_) most = std::max(most, part.scratch_floats(tokens));
  return most;
}

Pieces Linear::pieces(int threads, size_t tokens) const {
  constexpr size_t kPiecesPerThread = 8, kLeastBytes = 96 << 10;
  constexpr size_t kStreamed = 4;  // for more, what a piece lays out or unpacks first must pay
  const size_t even = tile_rows_ / (static_cast<size_t>(threads) * kPiecesPerThread);
  const size_t least = kLeastBytes / std::max<size_t>(1, parts_.front().row_bytes_streamed());
  const size_t small = std::max<size_t>(1, std::min(least, tile_rows_ / static_cast<size_t>(threads)));
  const size_t grain = std::max(small, even);
  return {.most = grain, .least = tokens <= kStreamed ? small : grain};
}

void Linear::multiply(const kernels::KernelSet& kernels, const Activations& x, size_t tokens, size_t first, size_t last,
                      float* y, size_t y_stride, std::span<float> scratch) const {
  size_t tile = 0, row = 0;
  for (const Matrix& part : parts_) {
    const size_t begin = std::max(first, tile), end = std::min(last, tile + part.tile_rows());
    if (begin < end) part.multiply(kernels, x, tokens, begin - tile, end - tile, y + row, y_stride, scratch);
    tile += part.tile_rows();
    row += part.rows();
  }
}

}  // namespace phial::model
