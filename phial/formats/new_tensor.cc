#include "phial/formats/new_tensor.h"

#include <algorithm>

#include "phial/tensor/blocks.h"

namespace phial::formats {
namespace {

constexpr uint64_t kChunk = uint64_t{1} << 16;  // weights at a time: whole blocks of every type

}  // namespace

uint64_t NewTensor::bytes() const {
  uint64_t elements = 1;
  for (const uint64_t extent : shape) elements *= extent;
  return elements / tensor::info(dtype).block_size * tensor::info(dtype).block_bytes;
}

Status write_values(OutputFile& file, const NewTensor& tensor, const std::stop_token& stop) {
  std::vector<float> decoded;
  std::vector<std::byte> encoded;
  for (const Piece& piece : tensor.pieces) {
    for (uint64_t first = 0; first < piece.count; first += kChunk) {
      if (stop.stop_requested()) return Error{Code::kCancelled, "stopped", ""};
      const auto count = static_cast<size_t>(std::min(kChunk, piece.count - first));
      const tensor::DTypeInfo& type = tensor::info(tensor.dtype);
      const size_t bytes = count / type.block_size * type.block_bytes;
      if (piece.dtype == tensor.dtype && piece.added == nullptr) {
        PHIAL_CHECKED(file.write({piece.bytes + first / type.block_size * type.block_bytes, bytes}));
        continue;
      }
      decoded.resize(count);
      if (piece.int4 != nullptr) {
        tensor::decode_row(*piece.int4, piece.row, first, decoded);
      } else {
        tensor::decode_row(piece.dtype, piece.bytes, first, decoded);
      }
      if (piece.added != nullptr) piece.added->add_to(decoded, piece.row, first);
      encoded.resize(bytes);
      tensor::encode_row(tensor.dtype, decoded, encoded.data());
      PHIAL_CHECKED(file.write(encoded));
    }
  }
  return ok();
}

}  // namespace phial::formats
