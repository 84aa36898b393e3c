#include "phial/tensor/block_numbers.h"

#include <cstring>

#include "phial/base/check.h"
#include "phial/tensor/codebooks.h"
#include "phial/tensor/phial_blocks.h"

namespace phial::tensor {
namespace {

constexpr BlockGrid kQ40Grid = {.block = 32, .group = 32, .lowest = -8, .highest = 7};
constexpr BlockGrid kQ41Grid = {.block = 32, .group = 32, .lowest = 0, .highest = 15, .has_min = true};
constexpr BlockGrid kQ50Grid = {.block = 32, .group = 32, .lowest = -16, .highest = 15};
constexpr BlockGrid kQ51Grid = {.block = 32, .group = 32, .lowest = 0, .highest = 31, .has_min = true};
// Not -128: a kernel may negate a byte.
constexpr BlockGrid kQ80Grid = {.block = 32, .group = 32, .lowest = -127, .highest = 127};
constexpr BlockGrid kQ4KGrid = {
    .block = 256, .group = 32, .lowest = 0, .highest = 15, .most_scale = 63, .has_min = true, .most_min = 63};
constexpr BlockGrid kQ5KGrid = {
    .block = 256, .group = 32, .lowest = 0, .highest = 31, .most_scale = 63, .has_min = true, .most_min = 63};
constexpr BlockGrid kQ6KGrid = {
    .block = 256, .group = 16, .lowest = -32, .highest = 31, .most_scale = 127, .scale_has_sign = true};

constexpr BlockGrid grid_of(std::span<const int8_t> levels) {
  return {
      .block = kPhialBlock, .group = kPhialBlock, .lowest = levels.front(), .highest = levels.back(), .levels = levels};
}
constexpr BlockGrid kPhialQ4Grid = grid_of(kPhialQ4Levels);
constexpr BlockGrid kPhialQ3Grid = grid_of(kPhialQ3Levels);

constexpr uint16_t kSign = 0x8000;

void put_u16(std::byte* to, uint16_t value) { std::memcpy(to, &value, sizeof value); }

// Types of 32 weights add their minimum, where K types take it away.
uint16_t added_minimum(uint16_t dmin) { return (dmin & 0x7FFF) == 0 ? 0 : static_cast<uint16_t>(dmin ^ kSign); }

// Numbers of 0..15 in pairs k and k + 16; `zero` makes them so.
void put_pairs(const int8_t* n, int zero, std::byte* to) {
  for (int k = 0; k < 16; ++k) to[k] = static_cast<std::byte>(((n[k] + zero) & 15) | (((n[k + 16] + zero) & 15) << 4));
}

void put_fifth_bits(const int8_t* n, int zero, std::byte* to) {
  uint32_t fifth = 0;
  for (int k = 0; k < 32; ++k) fifth |= static_cast<uint32_t>((n[k] + zero) >> 4) << k;
  std::memcpy(to, &fifth, sizeof fifth);
}

void put_scales_and_mins(const BlockNumbers& numbers, std::byte* to) {
  const auto put = [&](int at, int low, int high) { to[at] = static_cast<std::byte>(low | high); };
  // 0 to 63 in these types.
  const auto scale_of = [&](size_t j) { return static_cast<int>(static_cast<uint8_t>(numbers.scales[j])); };
  for (size_t j = 0; j < 4; ++j) {
    const int scale = scale_of(j), later_scale = scale_of(j + 4);
    const int min = numbers.mins[j], later_min = numbers.mins[j + 4];
    put(static_cast<int>(j), scale, (later_scale >> 4) << 6);
    put(static_cast<int>(j) + 4, min, (later_min >> 4) << 6);
    put(static_cast<int>(j) + 8, later_scale & 15, (later_min & 15) << 4);
  }
}

// Groups 2p and 2p + 1 share the bytes 32p to 32p + 31.
void put_halves(const int8_t* n, std::byte* to) {
  for (int k = 0; k < 128; ++k) {
    const int8_t* low = n + 64 * (k / 32) + k % 32;
    to[k] = static_cast<std::byte>((low[0] & 15) | ((low[32] & 15) << 4));
  }
}

void write_q6_k(const BlockNumbers& numbers, std::byte* block) {
  std::memset(block, 0, 192);
  for (int k = 0; k < 256; ++k) {
    const int a = k / 128, b = k % 128 / 32, c = k % 32;
    const int n = numbers.n[static_cast<size_t>(k)] + 32;
    block[64 * a + 32 * (b % 2) + c] |= static_cast<std::byte>((n & 15) << (b < 2 ? 0 : 4));
    block[128 + 32 * a + c] |= static_cast<std::byte>((n >> 4) << (2 * b));
  }
  std::memcpy(block + 192, numbers.scales.data(), 16);
  put_u16(block + 208, numbers.d);
}

}  // namespace

const BlockGrid* grid_of(DType dtype) {
  switch (dtype) {
    case DType::kQ4_0:
      return &kQ40Grid;
    case DType::kQ4_1:
      return &kQ41Grid;
    case DType::kQ5_0:
      return &kQ50Grid;
    case DType::kQ5_1:
      return &kQ51Grid;
    case DType::kQ8_0:
      return &kQ80Grid;
    case DType::kQ4_K:
      return &kQ4KGrid;
    case DType::kQ5_K:
      return &kQ5KGrid;
    case DType::kQ6_K:
      return &kQ6KGrid;
    case DType::kPhialQ4:
      return &kPhialQ4Grid;
    case DType::kPhialQ3:
      return &kPhialQ3Grid;
    default:
      return nullptr;
  }
}

void write_block(DType dtype, const BlockNumbers& numbers, std::byte* block) {
  const int8_t* n = numbers.n.data();
  put_u16(block, numbers.d);  // Q6_K puts its own over this
  switch (dtype) {
    case DType::kQ4_0:
      return put_pairs(n, 8, block + 2);
    case DType::kQ4_1:
      put_u16(block + 2, added_minimum(numbers.dmin));
      return put_pairs(n, 0, block + 4);
    case DType::kQ5_0:
      put_fifth_bits(n, 16, block + 2);
      return put_pairs(n, 16, block + 6);
    case DType::kQ5_1:
      put_u16(block + 2, added_minimum(numbers.dmin));
      put_fifth_bits(n, 0, block + 4);
      return put_pairs(n, 0, block + 8);
    case DType::kQ8_0:
      std::memcpy(block + 2, n, 32);
      return;
    case DType::kQ4_K:
    case DType::kQ5_K: {
      put_u16(block + 2, numbers.dmin);
      put_scales_and_mins(numbers, block + 4);
      if (dtype == DType::kQ4_K) return put_halves(n, block + 16);
      for (int c = 0; c < 32; ++c) {
        int fifth = 0;
        for (int j = 0; j < 8; ++j) fifth |= (n[32 * j + c] >> 4) << j;
        block[16 + c] = static_cast<std::byte>(fifth);
      }
      return put_halves(n, block + 48);
    }
    case DType::kQ6_K:
      return write_q6_k(numbers, block);
    case DType::kPhialQ4:
      return put_phial_q4(f8_from_f16(numbers.d), n, block);
    case DType::kPhialQ3:
      return put_phial_q3(f8_from_f16(numbers.d), n, block);
    default:
      PHIAL_CHECK(false);
  }
}

}  // namespace phial::tensor
