// Rows of f32 and bf16 as loops of our own read and write them. Threads: pure functions.
#pragma once

#include <bit>
#include <cstdint>

#include "phial/base/check.h"
#include "phial/tensor/half.h"
#include "phial/train/torch.h"

namespace phial::train {

inline float widened(float x) { return x; }
inline float widened(at::BFloat16 x) { return tensor::bf16_to_f32(x.x); }

inline void narrow(float x, float& to) { to = x; }
// As tensor::f32_to_bf16, but for the bits of NaN: without branches, for whole vectors.
inline void narrow(float x, at::BFloat16& to) {
  const auto bits = std::bit_cast<uint32_t>(x);
  const uint32_t rounded = (bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16;
  to.x = static_cast<uint16_t>(x == x ? rounded : 0x7fc0U);
}

// body(T{}) with the type of a tensor.
template <class Body>
void with_type(const at::Tensor& tensor, const Body& body) {
  PHIAL_CHECK(tensor.scalar_type() == at::kFloat || tensor.scalar_type() == at::kBFloat16);
  tensor.scalar_type() == at::kFloat ? body(float{}) : body(at::BFloat16{});
}

// A row as floats: itself, or a copy in `space`.
inline const float* as_floats(const float* row, int64_t, float*) { return row; }
inline const float* as_floats(const at::BFloat16* row, int64_t n, float* space) {
  for (int64_t i = 0; i < n; ++i) space[i] = widened(row[i]);
  return space;
}

}  // namespace phial::train
