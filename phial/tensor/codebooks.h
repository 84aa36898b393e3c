// What the small numbers of Phial's own block types stand for: levels that lie as dense as weights do, and scales in
// eight bits. Free of containers, so that the kernels' files may include it.
//
// A level plus kCodeZero lies in 0..127: seven bits without a sign, two products of which with bytes of activations a
// 16-bit number holds. The two sides of a codebook differ, so that the sign of a scale is a choice too.
// How they were fitted: docs/decisions/0008-int4.md.
#pragma once

#include <stdint.h>

#include "phial/tensor/half.h"

namespace phial::tensor {

constexpr int kCodeZero = 64;
constexpr int8_t kPhialQ4Levels[16] = {-58, -42, -33, -25, -18, -12, -6, 0, 4, 9, 15, 21, 28, 36, 46, 57};
constexpr int8_t kPhialQ3Levels[8] = {-42, -24, -12, -2, 7, 17, 30, 50};

// A sign, four bits of exponent, three of fraction: the upper bits of a half without its first bit of exponent, and a
// quarter of that. Steps of 1/8 to 1/16 from 2^-16 to 0.46875; below, whole multiples of 2^-19. Always finite.
constexpr float kF8Unit = 0.25F;
inline float f8_to_f32(uint8_t f8) {
  const uint32_t half = (static_cast<uint32_t>(f8 & 0x80U) << 8) | (static_cast<uint32_t>(f8 & 0x7FU) << 7);
  return f16_to_f32(static_cast<uint16_t>(half)) * kF8Unit;
}

// Promise: `half` is the value of one.
inline uint8_t f8_from_f16(uint16_t half) {
  const uint16_t wide = f32_to_f16(f16_to_f32(half) / kF8Unit);
  return static_cast<uint8_t>(((wide >> 8) & 0x80U) | ((wide >> 7) & 0x7FU));
}

}  // namespace phial::tensor
