#include "phial/model/pack.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

#include "phial/kernels/kernels.h"
#include "phial/tensor/blocks.h"

namespace phial::model {
namespace {

using kernels::kBlock;
using kernels::kTileRows;
using kernels::PhialQ3Tile;
using kernels::PhialQ4Tile;
using kernels::Q4MinTile;
using kernels::Q4Tile;
using kernels::Q8Tile;
using tensor::DType;

constexpr size_t kChunk = 256;  // columns decoded at a time: whole blocks of every type

uint16_t read_u16(const std::byte* from) {
  uint16_t value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

uint32_t read_u32(const std::byte* from) {
  uint32_t value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

// One row's 32 nibbles into a tile. low[i] holds columns 4i..4i+3 in the low halves of its bytes, for i in 0..7.
void place_nibbles(const uint32_t (&columns)[8], size_t row, uint8_t* nibbles) {
  for (size_t p = 0; p < 4; ++p) {
    const uint32_t pair = columns[2 * p] | (columns[2 * p + 1] << 4);
    std::memcpy(nibbles + 64 * p + 4 * row, &pair, sizeof pair);
  }
}

// Q4_0 and Q4_1 keep columns 0..15 in the low halves of 16 bytes, 16..31 in the high ones.
void split_halves(const std::byte* packed, uint32_t (&columns)[8]) {
  for (size_t i = 0; i < 4; ++i) {
    const uint32_t word = read_u32(packed + 4 * i);
    columns[i] = word & 0x0F0F0F0FU;
    columns[i + 4] = (word >> 4) & 0x0F0F0F0FU;
  }
}

void pack_q4_0(const StoredRows& source, size_t tile, Q4Tile* out) {
  constexpr size_t kStored = 18;
  const size_t blocks = source.cols / kBlock;
  for (size_t r = 0; r < kTileRows && tile * kTileRows + r < source.rows; ++r) {
    const std::byte* row = source.row(tile * kTileRows + r);
    for (size_t b = 0; b < blocks; ++b) {
      uint32_t columns[8];
      split_halves(row + b * kStored + 2, columns);
      out[b].scale[r] = read_u16(row + b * kStored);
      place_nibbles(columns, r, out[b].nibbles);
    }
  }
}

void pack_q4_1(const StoredRows& source, size_t tile, Q4MinTile* out) {
  constexpr size_t kStored = 20;
  const size_t blocks = source.cols / kBlock;
  for (size_t r = 0; r < kTileRows && tile * kTileRows + r < source.rows; ++r) {
    const std::byte* row = source.row(tile * kTileRows + r);
    for (size_t b = 0; b < blocks; ++b) {
      uint32_t columns[8];
      split_halves(row + b * kStored + 4, columns);
      out[b].scale[r] = read_u16(row + b * kStored);
      out[b].min[r] = read_u16(row + b * kStored + 2);
      place_nibbles(columns, r, out[b].nibbles);
    }
  }
}

uint8_t* numbers_of(PhialQ4Tile& tile) { return tile.nibbles; }
uint8_t* numbers_of(PhialQ3Tile& tile) { return tile.planes; }

// Blocks of Phial's own types keep the four bytes that a tile wants side by side.
template <class Tile>
void pack_phial(const StoredRows& source, size_t tile, Tile* out) {
  constexpr size_t kStored = sizeof(Tile) / kTileRows, kWords = (kStored - 1) / 4;
  for (size_t r = 0; r < kTileRows && tile * kTileRows + r < source.rows; ++r) {
    const std::byte* row = source.row(tile * kTileRows + r);
    for (size_t b = 0; b < source.cols / kBlock; ++b) {
      const std::byte* block = row + b * kStored;
      out[b].scale[r] = std::to_integer<uint8_t>(block[0]);
      for (size_t i = 0; i < kWords; ++i) std::memcpy(numbers_of(out[b]) + 64 * i + 4 * r, block + 1 + 4 * i, 4);
    }
  }
}

// The 6-bit scale and minimum of 32-wide part j of a Q4_K block.
void scale_and_min(const uint8_t* packed, size_t j, int& scale, int& min) {
  if (j < 4) {
    scale = packed[j] & 63;
    min = packed[j + 4] & 63;
  } else {
    scale = (packed[j + 4] & 15) | ((packed[j - 4] >> 6) << 4);
    min = (packed[j + 4] >> 4) | ((packed[j] >> 6) << 4);
  }
}

void pack_q4_k(const StoredRows& source, size_t tile, Q4MinTile* out) {
  constexpr size_t kStored = 144, kParts = 8;
  for (size_t r = 0; r < kTileRows && tile * kTileRows + r < source.rows; ++r) {
    const std::byte* row = source.row(tile * kTileRows + r);
    for (size_t s = 0; s < source.cols / kChunk; ++s) {
      const std::byte* block = row + s * kStored;
      const float d = tensor::f16_to_f32(read_u16(block)), d_min = tensor::f16_to_f32(read_u16(block + 2));
      for (size_t j = 0; j < kParts; ++j) {
        int scale = 0, min = 0;
        scale_and_min(reinterpret_cast<const uint8_t*>(block) + 4, j, scale, min);
        uint32_t columns[8];
        for (size_t i = 0; i < 8; ++i) {  // parts 2k and 2k + 1 are the low and high halves of the same 32 bytes
          columns[i] = (read_u32(block + 16 + 32 * (j / 2) + 4 * i) >> (4 * (j % 2))) & 0x0F0F0F0FU;
        }
        Q4MinTile& to = out[s * kParts + j];
        to.scale[r] = tensor::f32_to_f16(d * static_cast<float>(scale));
        to.min[r] = tensor::f32_to_f16(-d_min * static_cast<float>(min));
        place_nibbles(columns, r, to.nibbles);
      }
    }
  }
}

// A block of 32 inputs lies within one group here: fast_layout() sees to that.
template <class Tile>
void pack_int4(const StoredRows& rows, size_t tile, Tile* out) {
  static_assert(kTileRows <= tensor::kMostTogether);
  const tensor::Int4Matrix& source = *rows.int4;
  const size_t n_rows = std::min<size_t>(kTileRows, source.outputs - tile * kTileRows);
  size_t outputs[kTileRows];
  for (size_t r = 0; r < n_rows; ++r) outputs[r] = rows.order.stored_row(tile * kTileRows + r);
  for (size_t b = 0; b < source.inputs / kBlock; ++b) {
    uint8_t levels[kTileRows * kBlock];
    tensor::read_levels(source, {outputs, n_rows}, b * kBlock, kBlock, levels);
    const size_t group = source.group(b * kBlock);
    for (size_t r = 0; r < n_rows; ++r) {
      uint32_t columns[8];
      std::memcpy(columns, levels + r * kBlock, sizeof columns);
      place_nibbles(columns, r, out[b].nibbles);
      const float scale = source.scale(group, outputs[r]);
      out[b].scale[r] = tensor::f32_to_f16(scale);
      if constexpr (std::is_same_v<Tile, Q4MinTile>) {
        out[b].min[r] = tensor::f32_to_f16(-static_cast<float>(source.zero(group, outputs[r])) * scale);
      }
    }
  }
}

// The smallest f16 that is at least `value`, so that no weight falls outside -127..127 steps.
uint16_t f16_at_least(float value) {
  constexpr uint16_t kLargest = 0x7BFF;
  const uint16_t half = std::min(tensor::f32_to_f16(value), kLargest);
  return half < kLargest && tensor::f16_to_f32(half) < value ? static_cast<uint16_t>(half + 1) : half;
}

constexpr uint16_t kNotANumber = 0x7E00;

bool is_finite_half(uint16_t half) { return (half & 0x7C00U) != 0x7C00U; }

template <class Tile>
bool scales_are_finite(const std::byte* tiles, size_t cols) {
  const size_t blocks = (cols + kBlock - 1) / kBlock;
  const auto* all = reinterpret_cast<const Tile*>(tiles);
  return std::all_of(all, all + blocks, [](const Tile& tile) {
    if constexpr (requires { tile.min; }) {
      if (!std::ranges::all_of(tile.min, is_finite_half)) return false;
    }
    return std::ranges::all_of(tile.scale, is_finite_half);
  });
}

int8_t to_steps(float weight, float per_step) {
  const float steps = weight * per_step;
  if (!(std::fabs(steps) <= 127.0F)) return static_cast<int8_t>(steps > 0 ? 127 : steps < 0 ? -127 : 0);
  return static_cast<int8_t>(std::lrint(steps));
}

// 32 weights of one row; `scale` is the stored block's own where its values are whole steps of it already, else 0.
void pack_q8_block(const float* weights, uint16_t scale, size_t row, Q8Tile& out) {
  float largest = 0;
  bool finite = true;
  for (size_t i = 0; i < kBlock; ++i) {
    if (std::fabs(weights[i]) > largest) largest = std::fabs(weights[i]);
    finite = finite && std::fabs(weights[i]) <= std::numeric_limits<float>::max();
  }
  const float own = std::fabs(tensor::f16_to_f32(scale));
  if (!(own > 0) || largest > 127.5F * own) scale = f16_at_least(largest / 127.0F);
  if (!finite) scale = kNotANumber;
  out.scale[row] = scale;
  const float step = tensor::f16_to_f32(scale);
  const float per_step = step != 0 ? 1.0F / step : 0.0F;
  for (size_t p = 0; p < 8; ++p) {
    for (size_t j = 0; j < 4; ++j) out.q[64 * p + 4 * row + j] = to_steps(weights[4 * p + j], per_step);
  }
}

// Types whose blocks of 32 are whole steps of one f16 that stands first.
bool has_whole_steps(DType dtype) { return dtype == DType::kQ8_0 || dtype == DType::kQ5_0 || dtype == DType::kIQ4_NL; }

void pack_q8(const StoredRows& source, size_t tile, Q8Tile* out) {
  float decoded[kChunk + kBlock];
  const size_t block_bytes = tensor::info(source.dtype).block_bytes;
  for (size_t r = 0; r < kTileRows && tile * kTileRows + r < source.rows; ++r) {
    for (size_t first = 0; first < source.cols; first += kChunk) {
      const size_t count = std::min(kChunk, source.cols - first);
      source.decode(tile * kTileRows + r, first, std::span<float>(decoded, count));
      std::fill(decoded + count, decoded + count + kBlock, 0.0F);  // columns that pad the last block
      for (size_t i = 0; i < count; i += kBlock) {
        const size_t block = (first + i) / kBlock;
        const uint16_t own = has_whole_steps(source.dtype) && source.added == nullptr
                                 ? read_u16(source.row(tile * kTileRows + r) + block * block_bytes)
                                 : uint16_t{0};
        pack_q8_block(decoded + i, own, r, out[block]);
      }
    }
  }
}

void pack_f32(const StoredRows& source, size_t tile, float* out) {
  float decoded[kChunk];
  for (size_t first = 0; first < source.cols; first += kChunk) {
    const size_t count = std::min(kChunk, source.cols - first);
    for (size_t r = 0; r < kTileRows; ++r) {
      if (tile * kTileRows + r < source.rows) {
        source.decode(tile * kTileRows + r, first, std::span<float>(decoded, count));
      } else {
        std::fill(decoded, decoded + count, 0.0F);
      }
      for (size_t d = 0; d < count; ++d) out[(first + d) * kTileRows + r] = decoded[d];
    }
  }
}

}  // namespace

size_t RowOrder::stored_row(size_t row) const {
  switch (kind) {
    case Kind::kAsStored:
      break;
    case Kind::kRotaryPairs: {
      const size_t in_head = row % head_dim, half = rope_dims / 2;
      if (in_head >= rope_dims) break;
      return row - in_head + (in_head < half ? 2 * in_head : 2 * (in_head - half) + 1);
    }
    case Kind::kGroups: {
      const size_t head = row / head_dim, n_heads = n_kv_heads * heads_per_kv, in_group = heads_per_kv + 2;
      size_t stored = head / heads_per_kv * in_group + head % heads_per_kv;
      if (head >= n_heads)
        stored = (head - n_heads) % n_kv_heads * in_group + heads_per_kv + (head - n_heads) / n_kv_heads;
      return stored * head_dim + row % head_dim;
    }
    case Kind::kAlternating:
      return row < rows / 2 ? 2 * row : 2 * (row - rows / 2) + 1;
  }
  return row;
}

std::vector<std::span<const std::byte>> StoredRows::pieces() const {
  if (int4 == nullptr) return {{bytes, rows * row_bytes}};
  const size_t numbers = int4->n_groups() * int4->outputs;
  return {{int4->levels, int4->inputs * int4->outputs / 2},
          {int4->zeros, numbers / 2},
          {int4->scales, static_cast<size_t>(*tensor::bytes_of(int4->scale_type, numbers))},
          {int4->groups, int4->groups != nullptr ? int4->inputs * sizeof(int32_t) : 0}};
}

void StoredRows::decode(size_t r, size_t first, std::span<float> out) const {
  if (int4 != nullptr) {
    tensor::decode_row(*int4, order.stored_row(r), first, out);
  } else {
    tensor::decode_row(dtype, row(r), first, out);
  }
  if (added != nullptr) added->add_to(out, order.stored_row(r), first);
}

Layout fast_layout(const StoredRows& source) {
  if (source.added != nullptr) return Layout::kQ8;
  if (source.int4 != nullptr && tensor::groups_are_whole(*source.int4, kBlock)) {
    return tensor::all_zeros_are(*source.int4, 8) ? Layout::kQ4 : Layout::kQ4Min;
  }
  if (source.dtype == DType::kQ4_0) return Layout::kQ4;
  if (source.dtype == DType::kPhialQ4) return Layout::kPhialQ4;
  if (source.dtype == DType::kPhialQ3) return Layout::kPhialQ3;
  if (source.dtype == DType::kQ4_1 || source.dtype == DType::kQ4_K) return Layout::kQ4Min;
  return Layout::kQ8;
}

uint64_t tile_row_bytes(Layout layout, size_t cols) {
  const uint64_t blocks = (uint64_t{cols} + kBlock - 1) / kBlock;
  switch (layout) {
    case Layout::kQ4:
      return blocks * sizeof(Q4Tile);
    case Layout::kQ4Min:
      return blocks * sizeof(Q4MinTile);
    case Layout::kQ8:
      return blocks * sizeof(Q8Tile);
    case Layout::kPhialQ4:
      return blocks * sizeof(PhialQ4Tile);
    case Layout::kPhialQ3:
      return blocks * sizeof(PhialQ3Tile);
    case Layout::kF32:
      return uint64_t{cols} * kTileRows * sizeof(float);
    case Layout::kStored:
      return 0;
  }
  return 0;
}

void pack_tile_row(const StoredRows& source, Layout layout, size_t tile, std::byte* out) {
  if (layout == Layout::kF32) {
    pack_f32(source, tile, reinterpret_cast<float*>(out));
    return;
  }
  std::memset(out, 0, static_cast<size_t>(tile_row_bytes(layout, source.cols)));
  if (source.int4 != nullptr && layout == Layout::kQ4) {
    pack_int4(source, tile, reinterpret_cast<Q4Tile*>(out));
  } else if (source.int4 != nullptr && layout == Layout::kQ4Min) {
    pack_int4(source, tile, reinterpret_cast<Q4MinTile*>(out));
  } else if (layout == Layout::kQ4) {
    pack_q4_0(source, tile, reinterpret_cast<Q4Tile*>(out));
  } else if (layout == Layout::kPhialQ4) {
    pack_phial(source, tile, reinterpret_cast<PhialQ4Tile*>(out));
  } else if (layout == Layout::kPhialQ3) {
    pack_phial(source, tile, reinterpret_cast<PhialQ3Tile*>(out));
  } else if (layout == Layout::kQ8) {
    pack_q8(source, tile, reinterpret_cast<Q8Tile*>(out));
  } else if (source.dtype == DType::kQ4_1) {
    pack_q4_1(source, tile, reinterpret_cast<Q4MinTile*>(out));
  } else {
    pack_q4_k(source, tile, reinterpret_cast<Q4MinTile*>(out));
  }
}

bool is_finite(Layout layout, const std::byte* tile_row, size_t cols) {
  switch (layout) {
    case Layout::kQ4:
      return scales_are_finite<Q4Tile>(tile_row, cols);
    case Layout::kQ4Min:
      return scales_are_finite<Q4MinTile>(tile_row, cols);
    case Layout::kQ8:
      return scales_are_finite<Q8Tile>(tile_row, cols);
    case Layout::kF32: {
      const auto* values = reinterpret_cast<const float*>(tile_row);
      return std::all_of(values, values + cols * kTileRows, [](float value) { return std::isfinite(value); });
    }
    case Layout::kPhialQ4:
    case Layout::kPhialQ3:  // cannot say anything else
    case Layout::kStored:
      break;
  }
  return true;
}

}  // namespace phial::model
