#include "phial/model/pack.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "phial/kernels/kernels.h"
#include "phial/model/matrix.h"
#include "phial/tensor/blocks.h"
#include "phial/tensor/codebooks.h"

namespace phial::model {
namespace {

using tensor::DType;

// A matrix of random stored bytes whose scales are ordinary numbers.
struct Stored {
  std::vector<std::byte> bytes;
  StoredRows rows;
};

Stored random_rows(DType dtype, size_t rows, size_t cols) {
  std::mt19937 random(7);
  std::normal_distribution<float> weight(0, 0.05F);
  Stored stored;
  stored.bytes.resize(rows * *tensor::bytes_of(dtype, cols));
  if (tensor::can_encode(dtype)) {
    std::vector<float> values(rows * cols);
    for (float& v : values) v = weight(random);
    tensor::encode_row(dtype, values, stored.bytes.data());
  } else {
    for (std::byte& b : stored.bytes) b = static_cast<std::byte>(random());
    // The f16 scales of the types without an encoder stand first or last in a block.
    const auto& type = tensor::info(dtype);
    const bool at_end = dtype == DType::kQ2_K || dtype == DType::kQ3_K || dtype == DType::kQ6_K;
    const size_t scales = dtype == DType::kQ2_K || dtype == DType::kQ4_K || dtype == DType::kQ5_K ? 4 : 2;
    for (size_t i = 0; i < stored.bytes.size(); i += type.block_bytes) {
      for (size_t s = 0; s < scales; s += 2) {
        const uint16_t scale = tensor::f32_to_f16(weight(random));
        std::memcpy(&stored.bytes[i + (at_end ? type.block_bytes - scales : 0) + s], &scale, sizeof scale);
      }
    }
  }
  stored.rows = {.bytes = stored.bytes.data(),
                 .dtype = dtype,
                 .rows = rows,
                 .cols = cols,
                 .row_bytes = static_cast<size_t>(*tensor::bytes_of(dtype, cols)),
                 .order = {},
                 .int4 = nullptr};
  return stored;
}

// Column c of row r of a tile row, as the kernels understand it (kernels.h).
float unpacked(const std::byte* tile_row, Layout layout, size_t r, size_t c) {
  const size_t block = c / 32, in = c % 32;
  const auto nibble = [&](const uint8_t* nibbles) {
    const uint8_t pair = nibbles[64 * (in / 8) + 4 * r + in % 4];
    return static_cast<float>(in % 8 < 4 ? pair & 15 : pair >> 4);
  };
  if (layout == Layout::kQ4) {
    const auto& tile = reinterpret_cast<const kernels::Q4Tile*>(tile_row)[block];
    return tensor::f16_to_f32(tile.scale[r]) * (nibble(tile.nibbles) - 8);
  }
  if (layout == Layout::kQ4Min) {
    const auto& tile = reinterpret_cast<const kernels::Q4MinTile*>(tile_row)[block];
    return tensor::f16_to_f32(tile.scale[r]) * nibble(tile.nibbles) + tensor::f16_to_f32(tile.min[r]);
  }
  if (layout == Layout::kQ8) {
    const auto& tile = reinterpret_cast<const kernels::Q8Tile*>(tile_row)[block];
    return tensor::f16_to_f32(tile.scale[r]) * static_cast<float>(tile.q[64 * (in / 4) + 4 * r + in % 4]);
  }
  if (layout == Layout::kPhialQ4) {
    const auto& tile = reinterpret_cast<const kernels::PhialQ4Tile*>(tile_row)[block];
    return tensor::f8_to_f32(tile.scale[r]) * tensor::kPhialQ4Levels[static_cast<size_t>(nibble(tile.nibbles))];
  }
  if (layout == Layout::kPhialQ3) {
    const auto& tile = reinterpret_cast<const kernels::PhialQ3Tile*>(tile_row)[block];
    const size_t step = in / 4;
    const auto plane = [&](size_t k) { return static_cast<int>(tile.planes[64 * k + 4 * r + in % 4]); };
    const int n = step < 6    ? plane(step / 2) >> (3 * (step % 2)) & 7
                  : step == 6 ? plane(0) >> 6 | (plane(1) >> 4 & 4)
                              : plane(2) >> 6 | (plane(1) >> 5 & 4);
    return tensor::f8_to_f32(tile.scale[r]) * tensor::kPhialQ3Levels[n];
  }
  return reinterpret_cast<const float*>(tile_row)[c * 16 + r];
}

class EveryType : public testing::TestWithParam<DType> {};

// How far a packed weight may be from the stored one, as a part of the largest in its block of 32.
double tolerance(DType dtype) {
  switch (dtype) {
    case DType::kQ4_0:
    case DType::kQ4_1:
    case DType::kQ5_0:
    case DType::kQ8_0:
    case DType::kIQ4_NL:
    case DType::kPhialQ4:
    case DType::kPhialQ3:
      return 0;
    case DType::kQ4_K:
      return 1.0 / 512;  // scale and minimum rounded to f16, which may cancel
    default:
      return 1.01 / 254;
  }
}

TEST_P(EveryType, PackedWeightsAreThoseStored) {
  const size_t rows = 21, cols = 512;
  const Stored stored = random_rows(GetParam(), rows, cols);
  const Layout layout = fast_layout(stored.rows);
  std::vector<std::byte> tile_row(tile_row_bytes(layout, cols));
  for (size_t tile = 0; tile < 2; ++tile) {
    pack_tile_row(stored.rows, layout, tile, tile_row.data());
    for (size_t r = 0; r < 16; ++r) {
      std::vector<float> wanted(cols);
      const bool is_padding = tile * 16 + r >= rows;
      if (!is_padding) tensor::decode_row(GetParam(), stored.rows.row(tile * 16 + r), 0, wanted);
      for (size_t first = 0; first < cols; first += 32) {
        float largest = 0;
        for (size_t c = first; c < first + 32; ++c) largest = std::max(largest, std::fabs(wanted[c]));
        const double allowed = tolerance(GetParam()) * static_cast<double>(largest) + 1e-6 * tolerance(GetParam());
        for (size_t c = first; c < first + 32; ++c) {
          ASSERT_NEAR(unpacked(tile_row.data(), layout, r, c), wanted[c], allowed) << "row " << r << " column " << c;
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Types, EveryType,
                         testing::Values(DType::kF32, DType::kF16, DType::kBF16, DType::kQ4_0, DType::kQ4_1,
                                         DType::kQ5_0, DType::kQ5_1, DType::kQ8_0, DType::kQ2_K, DType::kQ3_K,
                                         DType::kQ4_K, DType::kQ5_K, DType::kQ6_K, DType::kIQ4_NL, DType::kIQ4_XS,
                                         DType::kPhialQ4, DType::kPhialQ3),
                         [](const auto& type) { return std::string(tensor::info(type.param).name); });

TEST(Pack, ColumnsThatPadTheLastBlockAreZero) {
  const Stored stored = random_rows(DType::kF32, 16, 50);
  std::vector<std::byte> tile_row(tile_row_bytes(Layout::kQ8, 50));
  ASSERT_EQ(tile_row.size(), 2 * sizeof(kernels::Q8Tile));
  pack_tile_row(stored.rows, Layout::kQ8, 0, tile_row.data());
  for (size_t c = 50; c < 64; ++c) EXPECT_EQ(unpacked(tile_row.data(), Layout::kQ8, 3, c), 0);
}

TEST(Pack, WeightsThatAreNotNumbersDoNotCrash) {
  std::vector<float> values(16 * 32, 1.0F);
  values[0] = NAN;
  values[40] = INFINITY;
  values[70] = 1e-42F;
  const StoredRows rows = {reinterpret_cast<const std::byte*>(values.data()), DType::kF32, 16, 32, 128, {}, nullptr};
  std::vector<std::byte> tile_row(tile_row_bytes(Layout::kQ8, 32));
  pack_tile_row(rows, Layout::kQ8, 0, tile_row.data());
  EXPECT_NEAR(unpacked(tile_row.data(), Layout::kQ8, 5, 5), 1, 0.01);
}

TEST(RowOrder, UndoesTheInterleavingOfHeads) {
  const RowOrder order = {.kind = RowOrder::Kind::kRotaryPairs, .head_dim = 6, .rope_dims = 4};
  const size_t wanted[] = {0, 2, 1, 3, 4, 5, 6, 8, 7, 9, 10, 11};
  for (size_t r = 0; r < 12; ++r) EXPECT_EQ(order.stored_row(r), wanted[r]);
  EXPECT_EQ(RowOrder{}.stored_row(9), 9U);
}

// Products of every layout, rows and columns that fill no tile, cut at any place.
TEST(Matrix, ReadInPlaceAndUnpackedGiveTheSameBits) {
  ThreadPool pool(2);
  const auto& kernels = kernels::active();
  for (const DType dtype : {DType::kF32, DType::kBF16, DType::kQ4_0}) {
    const size_t rows = 37, cols = dtype == DType::kQ4_0 ? 96 : 83, tokens = 5, stride = 40;
    const Stored stored = random_rows(dtype, rows, cols);
    std::vector<float> x(tokens * cols);
    for (size_t i = 0; i < x.size(); ++i) x[i] = std::sin(static_cast<float>(i));
    const Activations in = {.floats = x.data(), .float_stride = cols, .blocks = nullptr, .block_stride = 0};
    const Matrix unpacked_whole = *Matrix::make(stored.rows, Layout::kF32, pool);
    const Matrix in_place = *Matrix::make(stored.rows, Layout::kStored, pool);
    std::vector<float> scratch(in_place.scratch_floats(tokens));
    std::vector<float> a(tokens * stride, -7), b = a;
    unpacked_whole.multiply(kernels, in, tokens, 0, 3, a.data(), stride, scratch);
    for (size_t i = 0; i < 3; ++i) in_place.multiply(kernels, in, tokens, i, i + 1, b.data(), stride, scratch);
    EXPECT_EQ(a, b);
    EXPECT_EQ(a[rows], -7) << "outputs that pad the last tile were written";

    std::vector<float> row(cols);
    tensor::decode_row(dtype, stored.rows.row(36), 0, row);
    double dot = 0;
    for (size_t d = 0; d < cols; ++d) dot += static_cast<double>(row[d]) * static_cast<double>(x[4 * cols + d]);
    EXPECT_NEAR(a[4 * stride + 36], dot, 1e-4);
  }
}

}  // namespace
}  // namespace phial::model
