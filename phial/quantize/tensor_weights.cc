#include "phial/quantize/tensor_weights.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "phial/tensor/blocks.h"
#include "phial/tensor/int4.h"

namespace phial::quantize {

uint64_t count_weights(const formats::NewTensor& tensor) {
  uint64_t count = 1;
  for (const uint64_t extent : tensor.shape) count *= extent;
  return count;
}

Status TensorWeights::read(std::span<float> out) {
  for (size_t done = 0; done < out.size();) {
    const formats::Piece& piece = tensor_.pieces[piece_];
    const auto count = static_cast<size_t>(std::min<uint64_t>(piece.count - first_, out.size() - done));
    const std::span<float> part = out.subspan(done, count);
    if (piece.int4 != nullptr) {
      tensor::decode_row(*piece.int4, piece.row, first_, part);
    } else {
      tensor::decode_row(piece.dtype, piece.bytes, first_, part);
    }
    done += count;
    first_ += count;
    if (first_ == piece.count) {
      first_ = 0;
      ++piece_;
    }
  }
  const bool is_finite = std::ranges::all_of(out, [](float weight) { return std::isfinite(weight); });
  if (!is_finite) {
    return Error{Code::kCorrupt, "tensor '" + tensor_.name + "' holds values that are not finite numbers",
                 "the model is damaged: get it again"};
  }
  return ok();
}

Status for_each_rows(const formats::NewTensor& matrix, const std::stop_token& stop,
                     const std::function<Status(uint64_t first, std::span<float> rows)>& body) {
  constexpr uint64_t kRowsAtOnce = 512;
  const auto columns = static_cast<size_t>(matrix.shape.back());
  const uint64_t rows = count_weights(matrix) / columns;
  TensorWeights source(matrix);
  std::vector<float> weights;
  for (uint64_t first = 0; first < rows; first += kRowsAtOnce) {
    weights.resize(static_cast<size_t>(std::min(kRowsAtOnce, rows - first)) * columns);
    PHIAL_CHECKED(source.read(weights));
    PHIAL_CHECKED(body(first, weights));
    if (stop.stop_requested()) return Error{Code::kCancelled, "stopped", ""};
  }
  return ok();
}

}  // namespace phial::quantize
