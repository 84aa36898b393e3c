#include "phial/tensor/phial_blocks.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <span>

#include "phial/base/check.h"
#include "phial/tensor/codebooks.h"

namespace phial::tensor {
namespace {

constexpr int kPlanes = 3;  // bytes that hold the eight numbers of q3 at the same place j

int byte_at(const std::byte* from, size_t i) { return std::to_integer<int>(from[i]); }

// The numbers of a block, 0..15 or 0..7.
void unpack_q4(const std::byte* pairs, int* n) {
  for (size_t i = 0; i < 16; ++i) {
    int* low = n + 8 * (i / 4) + i % 4;
    low[0] = byte_at(pairs, i) & 15;
    low[4] = byte_at(pairs, i) >> 4;
  }
}

void unpack_q3(const std::byte* planes, int* n) {
  for (size_t j = 0; j < 4; ++j) {
    const int a = byte_at(planes, j), b = byte_at(planes, 4 + j), c = byte_at(planes, 8 + j);
    const int all[] = {a & 7,
                       (a >> 3) & 7,
                       b & 7,
                       (b >> 3) & 7,
                       c & 7,
                       (c >> 3) & 7,
                       (a >> 6) | ((b >> 4) & 4),
                       (c >> 6) | ((b >> 5) & 4)};
    for (size_t i = 0; i < std::size(all); ++i) n[4 * i + j] = all[i];
  }
}

void pack_q4(const int* n, std::byte* pairs) {
  for (size_t i = 0; i < 16; ++i) {
    const int* low = n + 8 * (i / 4) + i % 4;
    pairs[i] = static_cast<std::byte>(low[0] | (low[4] << 4));
  }
}

void pack_q3(const int* n, std::byte* planes) {
  for (size_t j = 0; j < 4; ++j) {
    const auto at = [&](size_t i) { return n[4 * i + j]; };
    const int rest[kPlanes] = {(at(6) & 3) << 6, ((at(6) & 4) << 4) | ((at(7) & 4) << 5), (at(7) & 3) << 6};
    for (size_t k = 0; k < kPlanes; ++k) {
      planes[4 * k + j] = static_cast<std::byte>(at(2 * k) | (at(2 * k + 1) << 3) | rest[k]);
    }
  }
}

void decode(const std::byte* block, std::span<const int8_t> levels, const int* n, float* out) {
  const float scale = f8_to_f32(std::to_integer<uint8_t>(*block));
  for (size_t k = 0; k < kPhialBlock; ++k) {
    out[k] = scale * static_cast<float>(levels[static_cast<size_t>(n[k])]);
  }
}

// Which of the levels a block's are.
void find_levels(std::span<const int8_t> codebook, const int8_t* levels, int* n) {
  for (size_t k = 0; k < kPhialBlock; ++k) {
    const auto found = std::ranges::lower_bound(codebook, levels[k]);
    PHIAL_CHECK(found != codebook.end() && *found == levels[k]);
    n[k] = static_cast<int>(found - codebook.begin());
  }
}

// The nearest in eight bits; what is not a number becomes 0.
uint8_t nearest_f8(float value) {
  constexpr uint8_t kLargest = 0x7F;
  const float magnitude = std::fabs(value);
  if (!(magnitude > 0)) return 0;
  uint8_t best = 0;
  for (uint8_t f8 = 1; f8 <= kLargest; ++f8) {
    if (std::fabs(f8_to_f32(f8) - magnitude) < std::fabs(f8_to_f32(best) - magnitude)) best = f8;
  }
  return value < 0 ? static_cast<uint8_t>(best | 0x80U) : best;
}

uint8_t nearest_levels(std::span<const int8_t> codebook, const float* weights, int8_t* levels) {
  float furthest = 0;
  for (size_t k = 0; k < kPhialBlock; ++k) {
    if (std::fabs(weights[k]) > std::fabs(furthest)) furthest = weights[k];
  }
  const auto far = std::ranges::max(codebook, {}, [](int8_t level) { return std::abs(level); });
  const uint8_t scale = nearest_f8(furthest / static_cast<float>(far));
  const float step = f8_to_f32(scale), inverse = step != 0 ? 1 / step : 0;
  for (size_t k = 0; k < kPhialBlock; ++k) {
    levels[k] = codebook[0];
    const float wanted = weights[k] * inverse;
    for (const int8_t level : codebook) {
      if (std::fabs(static_cast<float>(level) - wanted) < std::fabs(static_cast<float>(levels[k]) - wanted)) {
        levels[k] = level;
      }
    }
  }
  return scale;
}

}  // namespace

void decode_phial_q4(const std::byte* block, float* out) {
  int n[kPhialBlock];
  unpack_q4(block + 1, n);
  decode(block, kPhialQ4Levels, n, out);
}

void decode_phial_q3(const std::byte* block, float* out) {
  int n[kPhialBlock];
  unpack_q3(block + 1, n);
  decode(block, kPhialQ3Levels, n, out);
}

void put_phial_q4(uint8_t scale, const int8_t* levels, std::byte* block) {
  int n[kPhialBlock];
  find_levels(kPhialQ4Levels, levels, n);
  block[0] = static_cast<std::byte>(scale);
  pack_q4(n, block + 1);
}

void put_phial_q3(uint8_t scale, const int8_t* levels, std::byte* block) {
  int n[kPhialBlock];
  find_levels(kPhialQ3Levels, levels, n);
  block[0] = static_cast<std::byte>(scale);
  pack_q3(n, block + 1);
}

void encode_phial_q4(const float* weights, std::byte* block) {
  int8_t levels[kPhialBlock];
  const uint8_t scale = nearest_levels(kPhialQ4Levels, weights, levels);
  put_phial_q4(scale, levels, block);
}

void encode_phial_q3(const float* weights, std::byte* block) {
  int8_t levels[kPhialBlock];
  const uint8_t scale = nearest_levels(kPhialQ3Levels, weights, levels);
  put_phial_q3(scale, levels, block);
}

}  // namespace phial::tensor
