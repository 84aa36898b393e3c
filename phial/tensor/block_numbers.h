// A block of a quantized type taken apart into the numbers that whoever chooses scales works with.
//
// Weight k of a block, in group g = k / grid.group, is
//   step(g) * n[k] - offset(g),   step(g) = d * scales[g],   offset(g) = dmin * mins[g],
// in single precision and in this order, which is what decode_row of blocks.h computes. n counts from zero's place:
// the 0 of Q4_0 is stored as 8. The bits are laid out as docs/formats.md says.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "phial/tensor/dtype.h"
#include "phial/tensor/half.h"

namespace phial::tensor {

// What a type can express.
struct BlockGrid {
  size_t block = 0, group = 0;          // weights
  int lowest = 0, highest = 0;          // n
  int most_scale = 1;                   // scales[g] is at most this; 1: d alone is the step
  bool scale_has_sign = false;          // scales[g] may be negative
  bool has_min = false;                 // else offset is 0
  int most_min = 1;                     // mins[g] is at most this; 1: dmin alone is the offset, of either sign
  std::span<const int8_t> levels = {};  // n is one of these, in rising order, and d one of codebooks.h; empty: any
};

// Null for types that this cannot write. Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, Q5_K, Q6_K and Phial's own can be written.
const BlockGrid* grid_of(DType dtype);

struct BlockNumbers {
  uint16_t d = 0, dmin = 0;  // half precision
  std::array<int8_t, 16> scales = {};
  std::array<uint8_t, 16> mins = {};
  std::array<int8_t, 256> n = {};

  float step(size_t group) const { return f16_to_f32(d) * static_cast<float>(scales[group]); }
  float offset(size_t group) const { return f16_to_f32(dmin) * static_cast<float>(mins[group]); }
};

// Promises: grid_of(dtype) is not null, every number is within it, scales and mins are 1 where the grid's most is 1;
// `block` holds the type's bytes.
void write_block(DType dtype, const BlockNumbers& numbers, std::byte* block);

}  // namespace phial::tensor
