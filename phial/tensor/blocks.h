// What stored weights mean: every block type decoded, and the simple ones encoded, by the book.
//
// Source: shared layouts of the GGUF format (ggml), as written out in docs/formats.md. Decoding is exact: the same f32
// bits as the reference. Encoders of Q4_0, Q4_1, Q5_0, Q5_1 and Q8_0 give the reference's bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "phial/tensor/dtype.h"
#include "phial/tensor/half.h"

namespace phial::tensor {

// Decodes weights [first, first + out.size()) of a stored row or tensor into f32.
// Promises: is_weight_type(dtype) and not kInt4; first and out.size() are multiples of the block; `stored` holds them.
void decode_row(DType dtype, const std::byte* stored, size_t first, std::span<float> out);

// True for F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0 and Phial's own types.
bool can_encode(DType dtype);

// Promises: can_encode(dtype); weights.size() is whole blocks; `stored` has bytes_of(dtype, weights.size()).
void encode_row(DType dtype, std::span<const float> weights, std::byte* stored);

}  // namespace phial::tensor
