// The blocks of Phial's own types by the book, as docs/formats.md writes them out. Used inside tensor only: whoever
// reads or writes rows calls blocks.h.
#pragma once

#include <cstddef>
#include <cstdint>

namespace phial::tensor {

inline constexpr size_t kPhialBlock = 32;  // weights

// block: 17 bytes (q4) or 13 (q3); out: kPhialBlock weights.
void decode_phial_q4(const std::byte* block, float* out);
void decode_phial_q3(const std::byte* block, float* out);

// The scale whose furthest level comes nearest to the weight furthest from zero, and the levels nearest to the weights.
void encode_phial_q4(const float* weights, std::byte* block);
void encode_phial_q3(const float* weights, std::byte* block);

// A block of a scale and kPhialBlock levels. Promise: each is one of the type's codebook.
void put_phial_q4(uint8_t scale, const int8_t* levels, std::byte* block);
void put_phial_q3(uint8_t scale, const int8_t* levels, std::byte* block);

}  // namespace phial::tensor
