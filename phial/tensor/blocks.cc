// Every decoder below is one row of the table "Block types" in docs/formats.md, in its words: d, m and dmin are the
// half-precision scales, n a weight's small unsigned number.
#include "phial/tensor/blocks.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "phial/base/check.h"
#include "phial/tensor/phial_blocks.h"

namespace phial::tensor {
namespace {

// IQ4: sixteen levels, finer around zero.
constexpr int8_t kLevels[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

int byte_at(const std::byte* from, int i) { return std::to_integer<int>(from[i]); }

uint16_t u16_at(const std::byte* from) {
  uint16_t value;
  std::memcpy(&value, from, sizeof value);
  return value;
}
uint32_t u32_at(const std::byte* from) {
  uint32_t value;
  std::memcpy(&value, from, sizeof value);
  return value;
}
float half_at(const std::byte* from) { return f16_to_f32(u16_at(from)); }

void put_half(std::byte* to, uint16_t value) { std::memcpy(to, &value, sizeof value); }
void put_u32(std::byte* to, uint32_t value) { std::memcpy(to, &value, sizeof value); }

void decode_q4_0(const std::byte* block, float* out) {
  const float d = half_at(block);
  for (int k = 0; k < 16; ++k) {
    const int pair = byte_at(block + 2, k);
    out[k] = d * static_cast<float>((pair & 15) - 8);
    out[k + 16] = d * static_cast<float>((pair >> 4) - 8);
  }
}

void decode_q4_1(const std::byte* block, float* out) {
  const float d = half_at(block), m = half_at(block + 2);
  for (int k = 0; k < 16; ++k) {
    const int pair = byte_at(block + 4, k);
    out[k] = d * static_cast<float>(pair & 15) + m;
    out[k + 16] = d * static_cast<float>(pair >> 4) + m;
  }
}

void decode_q5_0(const std::byte* block, float* out) {
  const float d = half_at(block);
  const uint32_t fifth = u32_at(block + 2);
  for (int k = 0; k < 16; ++k) {
    const int pair = byte_at(block + 6, k);
    const int low = (pair & 15) | static_cast<int>(((fifth >> k) & 1U) << 4);
    const int high = (pair >> 4) | static_cast<int>(((fifth >> (k + 16)) & 1U) << 4);
    out[k] = d * static_cast<float>(low - 16);
    out[k + 16] = d * static_cast<float>(high - 16);
  }
}

void decode_q5_1(const std::byte* block, float* out) {
  const float d = half_at(block), m = half_at(block + 2);
  const uint32_t fifth = u32_at(block + 4);
  for (int k = 0; k < 16; ++k) {
    const int pair = byte_at(block + 8, k);
    const int low = (pair & 15) | static_cast<int>(((fifth >> k) & 1U) << 4);
    const int high = (pair >> 4) | static_cast<int>(((fifth >> (k + 16)) & 1U) << 4);
    out[k] = d * static_cast<float>(low) + m;
    out[k + 16] = d * static_cast<float>(high) + m;
  }
}

void decode_q8_0(const std::byte* block, float* out) {
  const float d = half_at(block);
  for (int k = 0; k < 32; ++k) out[k] = d * static_cast<float>(static_cast<int8_t>(byte_at(block + 2, k)));
}

void decode_q2_k(const std::byte* block, float* out) {
  const std::byte* scales = block;
  const std::byte* qs = block + 16;
  const float d = half_at(block + 80), dmin = half_at(block + 82);
  for (int k = 0; k < 256; ++k) {
    const int a = k / 128, b = k % 128 / 32, c = k % 32;
    const int n = (byte_at(qs, 32 * a + c) >> (2 * b)) & 3;
    const int scale = byte_at(scales, k / 16);
    out[k] = d * static_cast<float>(scale & 15) * static_cast<float>(n) - dmin * static_cast<float>(scale >> 4);
  }
}

void decode_q3_k(const std::byte* block, float* out) {
  const std::byte* hmask = block;
  const std::byte* qs = block + 32;
  const std::byte* packed = block + 96;
  const float d = half_at(block + 108);
  float scales[16];
  for (int j = 0; j < 16; ++j) {
    const int low = j < 8 ? byte_at(packed, j) & 15 : byte_at(packed, j - 8) >> 4;
    const int high = (byte_at(packed, 8 + j % 4) >> (2 * (j / 4))) & 3;
    scales[j] = d * static_cast<float>((low | (high << 4)) - 32);
  }
  for (int k = 0; k < 256; ++k) {
    const int a = k / 128, b = k % 128 / 32, c = k % 32;
    const int low = (byte_at(qs, 32 * a + c) >> (2 * b)) & 3;
    const int high = (byte_at(hmask, c) >> (4 * a + b)) & 1;
    out[k] = scales[k / 16] * static_cast<float>(low - (high != 0 ? 0 : 4));
  }
}

// The eight pairs of six-bit scale and minimum of Q4_K and Q5_K, in twelve bytes.
struct ScaleAndMin {
  float scale, min;
};
ScaleAndMin scale_and_min(const std::byte* packed, int j) {
  int scale, min;
  if (j < 4) {
    scale = byte_at(packed, j) & 63;
    min = byte_at(packed, j + 4) & 63;
  } else {
    scale = (byte_at(packed, j + 4) & 15) | ((byte_at(packed, j - 4) >> 6) << 4);
    min = (byte_at(packed, j + 4) >> 4) | ((byte_at(packed, j) >> 6) << 4);
  }
  return {static_cast<float>(scale), static_cast<float>(min)};
}

void decode_q4_k(const std::byte* block, float* out) {
  const float d = half_at(block), dmin = half_at(block + 2);
  const std::byte* qs = block + 16;
  for (int j = 0; j < 8; ++j) {
    const auto [scale, min] = scale_and_min(block + 4, j);
    const float step = d * scale, offset = dmin * min;
    for (int c = 0; c < 32; ++c) {
      const int n = (byte_at(qs, 32 * (j / 2) + c) >> (4 * (j % 2))) & 15;
      out[32 * j + c] = step * static_cast<float>(n) - offset;
    }
  }
}

void decode_q5_k(const std::byte* block, float* out) {
  const float d = half_at(block), dmin = half_at(block + 2);
  const std::byte* qh = block + 16;
  const std::byte* qs = block + 48;
  for (int j = 0; j < 8; ++j) {
    const auto [scale, min] = scale_and_min(block + 4, j);
    const float step = d * scale, offset = dmin * min;
    for (int c = 0; c < 32; ++c) {
      const int low = (byte_at(qs, 32 * (j / 2) + c) >> (4 * (j % 2))) & 15;
      const int fifth = (byte_at(qh, c) >> j) & 1;
      out[32 * j + c] = step * static_cast<float>(low | (fifth << 4)) - offset;
    }
  }
}

void decode_q6_k(const std::byte* block, float* out) {
  const std::byte* ql = block;
  const std::byte* qh = block + 128;
  const std::byte* scales = block + 192;
  const float d = half_at(block + 208);
  for (int k = 0; k < 256; ++k) {
    const int a = k / 128, b = k % 128 / 32, c = k % 32;
    const int low = (byte_at(ql, 64 * a + 32 * (b % 2) + c) >> (b < 2 ? 0 : 4)) & 15;
    const int high = (byte_at(qh, 32 * a + c) >> (2 * b)) & 3;
    const auto scale = static_cast<int8_t>(byte_at(scales, k / 16));
    out[k] = d * static_cast<float>(scale) * static_cast<float>((low | (high << 4)) - 32);
  }
}

void decode_iq4_nl(const std::byte* block, float* out) {
  const float d = half_at(block);
  for (int k = 0; k < 16; ++k) {
    const int pair = byte_at(block + 2, k);
    out[k] = d * static_cast<float>(kLevels[pair & 15]);
    out[k + 16] = d * static_cast<float>(kLevels[pair >> 4]);
  }
}

void decode_iq4_xs(const std::byte* block, float* out) {
  const float d = half_at(block);
  const int scales_h = u16_at(block + 2);
  const std::byte* scales_l = block + 4;
  const std::byte* qs = block + 8;
  for (int j = 0; j < 8; ++j) {
    const int low = (byte_at(scales_l, j / 2) >> (4 * (j % 2))) & 15;
    const int high = (scales_h >> (2 * j)) & 3;
    const float step = d * static_cast<float>((low | (high << 4)) - 32);
    for (int c = 0; c < 16; ++c) {
      const int pair = byte_at(qs, 16 * j + c);
      out[32 * j + c] = step * static_cast<float>(kLevels[pair & 15]);
      out[32 * j + c + 16] = step * static_cast<float>(kLevels[pair >> 4]);
    }
  }
}

using DecodeBlock = void (*)(const std::byte* block, float* out);

DecodeBlock block_decoder(DType dtype) {
  switch (dtype) {
    case DType::kQ4_0:
      return decode_q4_0;
    case DType::kQ4_1:
      return decode_q4_1;
    case DType::kQ5_0:
      return decode_q5_0;
    case DType::kQ5_1:
      return decode_q5_1;
    case DType::kQ8_0:
      return decode_q8_0;
    case DType::kQ2_K:
      return decode_q2_k;
    case DType::kQ3_K:
      return decode_q3_k;
    case DType::kQ4_K:
      return decode_q4_k;
    case DType::kQ5_K:
      return decode_q5_k;
    case DType::kQ6_K:
      return decode_q6_k;
    case DType::kIQ4_NL:
      return decode_iq4_nl;
    case DType::kIQ4_XS:
      return decode_iq4_xs;
    case DType::kPhialQ4:
      return decode_phial_q4;
    case DType::kPhialQ3:
      return decode_phial_q3;
    default:
      return nullptr;
  }
}

// trunc(value) held to 0..most; what is not a number becomes 0. A cast alone would be undefined for those.
int small_number(float value, int most) {
  if (!(value > 0.0F)) return 0;
  return value >= static_cast<float>(most) ? most : static_cast<int>(value);
}

float reciprocal(float d) { return d != 0.0F ? 1.0F / d : 0.0F; }

// The element furthest from zero, with its sign; the first of equals.
float furthest(const float* x) {
  float amax = 0, value = 0;
  for (int k = 0; k < 32; ++k) {
    if (std::fabs(x[k]) > amax) {
      amax = std::fabs(x[k]);
      value = x[k];
    }
  }
  return value;
}

void encode_q4_0(const float* x, std::byte* block) {
  const float d = furthest(x) / -8;
  const float inverse = reciprocal(d);
  put_half(block, f32_to_f16(d));
  for (int k = 0; k < 16; ++k) {
    const int low = small_number(x[k] * inverse + 8.5F, 15);
    const int high = small_number(x[k + 16] * inverse + 8.5F, 15);
    block[2 + k] = static_cast<std::byte>(low | (high << 4));
  }
}

void encode_q4_1(const float* x, std::byte* block) {
  const auto [min, max] = std::minmax_element(x, x + 32);
  const float d = (*max - *min) / 15;
  const float inverse = reciprocal(d);
  put_half(block, f32_to_f16(d));
  put_half(block + 2, f32_to_f16(*min));
  for (int k = 0; k < 16; ++k) {
    const int low = small_number((x[k] - *min) * inverse + 0.5F, 15);
    const int high = small_number((x[k + 16] - *min) * inverse + 0.5F, 15);
    block[4 + k] = static_cast<std::byte>(low | (high << 4));
  }
}

// Four low bits of 32 numbers into qs, the fifth ones into qh.
void pack_five_bits(const int* n, std::byte* qh, std::byte* qs) {
  uint32_t fifth = 0;
  for (int k = 0; k < 32; ++k) fifth |= static_cast<uint32_t>(n[k] >> 4) << k;
  put_u32(qh, fifth);
  for (int k = 0; k < 16; ++k) qs[k] = static_cast<std::byte>((n[k] & 15) | ((n[k + 16] & 15) << 4));
}

void encode_q5_0(const float* x, std::byte* block) {
  const float d = furthest(x) / -16;
  const float inverse = reciprocal(d);
  int n[32];
  for (int k = 0; k < 32; ++k) n[k] = small_number(x[k] * inverse + 16.5F, 31);
  put_half(block, f32_to_f16(d));
  pack_five_bits(n, block + 2, block + 6);
}

void encode_q5_1(const float* x, std::byte* block) {
  const auto [min, max] = std::minmax_element(x, x + 32);
  const float d = (*max - *min) / 31;
  const float inverse = reciprocal(d);
  int n[32];
  for (int k = 0; k < 32; ++k) n[k] = small_number((x[k] - *min) * inverse + 0.5F, 31);
  put_half(block, f32_to_f16(d));
  put_half(block + 2, f32_to_f16(*min));
  pack_five_bits(n, block + 4, block + 8);
}

void encode_q8_0(const float* x, std::byte* block) {
  const float d = std::fabs(furthest(x)) / 127;
  const float inverse = reciprocal(d);
  put_half(block, f32_to_f16(d));
  for (int k = 0; k < 32; ++k) {
    const float scaled = x[k] * inverse;
    const int magnitude = small_number(std::round(std::fabs(scaled)), 127);
    block[2 + k] = static_cast<std::byte>(scaled < 0 ? -magnitude : magnitude);
  }
}

using EncodeBlock = void (*)(const float* x, std::byte* block);

EncodeBlock block_encoder(DType dtype) {
  switch (dtype) {
    case DType::kQ4_0:
      return encode_q4_0;
    case DType::kQ4_1:
      return encode_q4_1;
    case DType::kQ5_0:
      return encode_q5_0;
    case DType::kQ5_1:
      return encode_q5_1;
    case DType::kQ8_0:
      return encode_q8_0;
    case DType::kPhialQ4:
      return encode_phial_q4;
    case DType::kPhialQ3:
      return encode_phial_q3;
    default:
      return nullptr;
  }
}

}  // namespace

void decode_row(DType dtype, const std::byte* stored, size_t first, std::span<float> out) {
  const size_t count = out.size();
  switch (dtype) {
    case DType::kF32:
      if (count > 0) std::memcpy(out.data(), stored + first * sizeof(float), count * sizeof(float));
      return;
    case DType::kF16:
      for (size_t i = 0; i < count; ++i) out[i] = half_at(stored + (first + i) * 2);
      return;
    case DType::kBF16:
      for (size_t i = 0; i < count; ++i) out[i] = bf16_to_f32(u16_at(stored + (first + i) * 2));
      return;
    default:
      break;
  }
  const DecodeBlock decode = block_decoder(dtype);
  const DTypeInfo& type = info(dtype);
  PHIAL_CHECK(decode != nullptr && first % type.block_size == 0 && count % type.block_size == 0);
  const std::byte* block = stored + first / type.block_size * type.block_bytes;
  for (size_t done = 0; done < count; done += type.block_size, block += type.block_bytes) {
    decode(block, out.data() + done);
  }
}

bool can_encode(DType dtype) {
  return dtype == DType::kF32 || dtype == DType::kF16 || dtype == DType::kBF16 || block_encoder(dtype) != nullptr;
}

void encode_row(DType dtype, std::span<const float> weights, std::byte* stored) {
  switch (dtype) {
    case DType::kF32:
      if (!weights.empty()) std::memcpy(stored, weights.data(), weights.size_bytes());
      return;
    case DType::kF16:
      for (size_t i = 0; i < weights.size(); ++i) put_half(stored + i * 2, f32_to_f16(weights[i]));
      return;
    case DType::kBF16:
      for (size_t i = 0; i < weights.size(); ++i) put_half(stored + i * 2, f32_to_bf16(weights[i]));
      return;
    default:
      break;
  }
  const EncodeBlock encode = block_encoder(dtype);
  const DTypeInfo& type = info(dtype);
  PHIAL_CHECK(encode != nullptr && weights.size() % type.block_size == 0);
  for (size_t done = 0; done < weights.size(); done += type.block_size, stored += type.block_bytes) {
    encode(weights.data() + done, stored);
  }
}

}  // namespace phial::tensor
