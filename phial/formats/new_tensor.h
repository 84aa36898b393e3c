// A tensor to be written: its bytes are put together from pieces of stored ones while they are written, so that a
// converted model is never in memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "phial/base/output_file.h"
#include "phial/base/result.h"
#include "phial/formats/low_rank.h"
#include "phial/tensor/dtype.h"
#include "phial/tensor/int4.h"

namespace phial::formats {

// `count` stored weights, whole blocks.
struct Piece {
  tensor::DType dtype = tensor::DType::kF32;
  const std::byte* bytes = nullptr;
  uint64_t count = 0;
  const tensor::Int4Matrix* int4 = nullptr;  // of kInt4 only: all inputs of output `row`
  size_t row = 0;
  const LowRank* added = nullptr;  // its row `row` is added
};

struct NewTensor {
  std::string name;
  tensor::DType dtype = tensor::DType::kF32;  // pieces of another type are decoded and encoded anew, by the book
  std::vector<uint64_t> shape;                // outermost first
  std::vector<Piece> pieces;                  // together the shape's elements

  uint64_t bytes() const;
};

// Promise: tensor::can_encode(tensor.dtype) unless every piece is of that type. kCancelled if `stop` was requested.
Status write_values(OutputFile& file, const NewTensor& tensor, const std::stop_token& stop);

}  // namespace phial::formats
