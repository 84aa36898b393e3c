// Matrix products: every set against scalar, to the bit; scalar against the book.
#include <algorithm>
#include <cstring>
#include <limits>

#include "phial/kernels/every_isa.h"
#include "phial/tensor/codebooks.h"

namespace phial::kernels {
namespace {

// Any byte is a finite scale.
template <class Tile>
constexpr bool kScalesAreBytes = std::is_same_v<Tile, PhialQ4Tile> || std::is_same_v<Tile, PhialQ3Tile>;

class Gemm : public EveryIsa {
 protected:
  uint16_t random_f16(float largest) {
    return tensor::f32_to_f16(std::uniform_real_distribution<float>(-largest, largest)(random));
  }
  template <class Tile>
  std::vector<Tile> random_tiles(size_t n) {
    std::vector<Tile> tiles(n);
    for (Tile& tile : tiles) {
      auto* bytes = reinterpret_cast<uint8_t*>(&tile);
      for (size_t i = 0; i < sizeof tile; ++i) bytes[i] = static_cast<uint8_t>(random());
      if constexpr (!kScalesAreBytes<Tile>) {
        for (uint16_t& scale : tile.scale) scale = random_f16(0.1F);
      }
      if constexpr (std::is_same_v<Tile, Q4MinTile>) {
        for (uint16_t& min : tile.min) min = random_f16(1);
      }
      if constexpr (std::is_same_v<Tile, Q8Tile>) {
        for (int8_t& q : tile.q) q = std::max<int8_t>(q, -127);
      }
    }
    return tiles;
  }
  // Every weight alike, every scale alike.
  template <class Tile>
  std::vector<Tile> flat_tiles(size_t n, uint8_t byte, float scale) {
    std::vector<Tile> tiles(n);
    for (Tile& tile : tiles) {
      memset(&tile, byte, sizeof tile);
      if constexpr (kScalesAreBytes<Tile>) {
        std::ranges::fill(tile.scale, scale == 0 ? uint8_t{0} : scale < 1 ? uint8_t{0x81} : uint8_t{0x7F});
      } else {
        std::ranges::fill(tile.scale, tensor::f32_to_f16(scale));
      }
      if constexpr (std::is_same_v<Tile, Q4MinTile>) std::ranges::fill(tile.min, tensor::f32_to_f16(-scale));
    }
    return tiles;
  }
  std::vector<Q8Block> random_blocks(size_t n) {
    std::vector<Q8Block> blocks(n);
    scalar.quantize_q8(normal(n * kBlock).data(), n, blocks.data());
    return blocks;
  }
  static std::vector<Q8Block> flat_blocks(size_t n, int8_t q, float scale) {
    std::vector<Q8Block> blocks(n);
    for (Q8Block& block : blocks) {
      block.scale = scale;
      block.sum = q * kBlock;
      std::ranges::fill(block.q, q);
    }
    return blocks;
  }

  static auto product(const KernelSet& set, const Q4Tile*) { return set.gemm_q4; }
  static auto product(const KernelSet& set, const Q4MinTile*) { return set.gemm_q4_min; }
  static auto product(const KernelSet& set, const Q8Tile*) { return set.gemm_q8; }
  static auto product(const KernelSet& set, const PhialQ4Tile*) { return set.gemm_phial_q4; }
  static auto product(const KernelSet& set, const PhialQ3Tile*) { return set.gemm_phial_q3; }

  // The result is filled with NaN first, and has room that must stay untouched.
  template <class Tile>
  std::vector<float> multiply(const KernelSet& set, const std::vector<Tile>& w, size_t tile_rows,
                              const std::vector<Q8Block>& x, size_t n_tokens, size_t first_token = 0,
                              size_t tokens_in_all = 0) {
    const size_t blocks = w.size() / tile_rows;
    const size_t stride = tile_rows * kTileRows + 3;
    std::vector<float> y(std::max(tokens_in_all, n_tokens) * stride, std::numeric_limits<float>::quiet_NaN());
    product(set, w.data())(w.data(), {.blocks = blocks,
                                      .tile_rows = tile_rows,
                                      .n_tokens = n_tokens,
                                      .x = x.data() + first_token * (blocks + 1),
                                      .x_stride = blocks + 1,
                                      .y = y.data(),
                                      .y_stride = stride});
    return y;
  }

  template <class Tile>
  void expect_as_scalar(const std::vector<Tile>& w, size_t tile_rows, const std::vector<Q8Block>& x, size_t n_tokens) {
    const std::vector<float> found = multiply(isa, w, tile_rows, x, n_tokens);
    const std::vector<float> wanted = multiply(scalar, w, tile_rows, x, n_tokens);
    EXPECT_EQ(first_difference(found, wanted), "")
        << tile_rows << " tile rows of " << w.size() / tile_rows << " blocks, " << n_tokens << " tokens";
  }

  // Scalar computes each shape once, for the most tokens: fewer of them are the first of its rows.
  template <class Tile>
  void every_shape_is_as_scalar() {
    for (const size_t tile_rows : {1, 2, 3, 7, 17}) {
      for (const size_t blocks : {1, 2, 3, 7, 31, 32, 33, 70}) {
        const auto w = random_tiles<Tile>(tile_rows * blocks);
        const size_t most = blocks <= 3 || (blocks == 33 && tile_rows >= 3) ? 64 : 17;
        const auto x = random_blocks(most * (blocks + 1));
        const auto wanted = multiply(scalar, w, tile_rows, x, most);
        for (const size_t n_tokens : {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 16, 17, 31, 32, 33, 48, 64}) {
          if (n_tokens > most) continue;
          const auto found = multiply(isa, w, tile_rows, x, n_tokens);
          ASSERT_EQ(first_difference(found, {wanted.data(), wanted.data() + found.size()}), "")
              << tile_rows << " tile rows of " << blocks << " blocks, " << n_tokens << " tokens";
        }
      }
    }
  }

  template <class Tile>
  void extremes_are_as_scalar() {
    for (const int weight : {0x00, 0xFF, 0x0F, 0xF0, 0x88, 0x7F, 0x81}) {
      for (const int q : {-127, -1, 0, 127}) {
        for (const float scale : {0.0F, 6.0e-8F, 1.0e-3F, 60000.0F}) {
          for (const float x_scale : {0.0F, 1.0e-38F, 1.0e-3F, 1.0e30F}) {
            for (const size_t n_tokens : {1, 6, 16, 33}) {
              expect_as_scalar(flat_tiles<Tile>(2 * 3, static_cast<uint8_t>(weight), scale), 2,
                               flat_blocks(n_tokens * 4, static_cast<int8_t>(q), x_scale), n_tokens);
            }
          }
        }
      }
    }
  }

  template <class Tile>
  void a_token_alone_has_the_bits_it_has_in_company() {
    const size_t blocks = 37;
    const size_t tile_rows = 3;
    const size_t in_all = 64;
    const size_t stride = tile_rows * kTileRows + 3;
    const auto w = random_tiles<Tile>(tile_rows * blocks);
    const auto x = random_blocks(in_all * (blocks + 1));
    const auto together = multiply(isa, w, tile_rows, x, in_all);
    for (const size_t n_tokens : {1, 2, 3, 5, 8, 16, 17, 32, 37}) {
      for (size_t first = 0; first + n_tokens <= in_all; first += n_tokens) {
        const auto apart = multiply(isa, w, tile_rows, x, n_tokens, first);
        ASSERT_EQ(first_difference(apart, {together.begin() + static_cast<ptrdiff_t>(first * stride),
                                           together.begin() + static_cast<ptrdiff_t>((first + n_tokens) * stride)}),
                  "")
            << n_tokens << " tokens";
      }
    }
  }
};

TEST_P(Gemm, Q4IsAsScalarAtEveryShape) { every_shape_is_as_scalar<Q4Tile>(); }
TEST_P(Gemm, Q4MinIsAsScalarAtEveryShape) { every_shape_is_as_scalar<Q4MinTile>(); }
TEST_P(Gemm, Q8IsAsScalarAtEveryShape) { every_shape_is_as_scalar<Q8Tile>(); }
TEST_P(Gemm, PhialQ4IsAsScalarAtEveryShape) { every_shape_is_as_scalar<PhialQ4Tile>(); }
TEST_P(Gemm, PhialQ3IsAsScalarAtEveryShape) { every_shape_is_as_scalar<PhialQ3Tile>(); }

TEST_P(Gemm, Q4IsAsScalarAtTheExtremes) { extremes_are_as_scalar<Q4Tile>(); }
TEST_P(Gemm, Q4MinIsAsScalarAtTheExtremes) { extremes_are_as_scalar<Q4MinTile>(); }
TEST_P(Gemm, PhialQ4IsAsScalarAtTheExtremes) { extremes_are_as_scalar<PhialQ4Tile>(); }
TEST_P(Gemm, PhialQ3IsAsScalarAtTheExtremes) { extremes_are_as_scalar<PhialQ3Tile>(); }
TEST_P(Gemm, Q8IsAsScalarAtTheExtremes) {
  for (const int weight : {0x00, 0x01, 0x7F, 0x81}) {  // never -128
    for (const int q : {-127, -1, 127}) {
      for (const size_t n_tokens : {1, 6, 16, 33}) {
        expect_as_scalar(flat_tiles<Q8Tile>(6, static_cast<uint8_t>(weight), 1), 2,
                         flat_blocks(n_tokens * 4, static_cast<int8_t>(q), 1), n_tokens);
      }
    }
  }
}

TEST_P(Gemm, Q4OfATokenAloneHasTheBitsItHasInCompany) { a_token_alone_has_the_bits_it_has_in_company<Q4Tile>(); }
TEST_P(Gemm, Q4MinOfATokenAloneHasTheBitsItHasInCompany) { a_token_alone_has_the_bits_it_has_in_company<Q4MinTile>(); }
TEST_P(Gemm, Q8OfATokenAloneHasTheBitsItHasInCompany) { a_token_alone_has_the_bits_it_has_in_company<Q8Tile>(); }

TEST_P(Gemm, PhialQ4OfATokenAloneHasTheBitsItHasInCompany) {
  a_token_alone_has_the_bits_it_has_in_company<PhialQ4Tile>();
}
TEST_P(Gemm, PhialQ3OfATokenAloneHasTheBitsItHasInCompany) {
  a_token_alone_has_the_bits_it_has_in_company<PhialQ3Tile>();
}

TEST_P(Gemm, F32IsAsScalarAtEveryShape) {
  for (const size_t tile_rows : {1, 2, 3, 5}) {
    for (const size_t D : {1, 2, 3, 16, 31, 96, 200}) {
      const size_t most = D == 31 ? 64 : 25;
      const size_t stride = tile_rows * kTileRows + 3;
      const auto w = normal(tile_rows * D * kTileRows);
      const auto x = normal(most * (D + 1));
      const auto multiply_f32 = [&](const KernelSet& set, size_t n_tokens) {
        std::vector<float> y(n_tokens * stride, std::numeric_limits<float>::quiet_NaN());
        set.gemm_f32(w.data(), {.D = D,
                                .tile_rows = tile_rows,
                                .n_tokens = n_tokens,
                                .x = x.data(),
                                .x_stride = D + 1,
                                .y = y.data(),
                                .y_stride = stride});
        return y;
      };
      const auto wanted = multiply_f32(scalar, most);
      for (const size_t n_tokens : {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 16, 17, 25, 64}) {
        if (n_tokens > most) continue;
        const auto found = multiply_f32(isa, n_tokens);
        ASSERT_EQ(first_difference(found, {wanted.data(), wanted.data() + found.size()}), "")
            << tile_rows << " x " << D << ", " << n_tokens << " tokens";
      }
    }
  }
}

TEST_P(Gemm, QuantizeIsAsScalarOnTiesAndTinyAndHugeNumbers) {
  const float most = std::numeric_limits<float>::max();
  std::vector<float> x = normal(kBlock * 20);
  for (const float scale : {0.0F, 1e-45F, 1e-38F, 1e-37F, 1e-36F, 1e-20F, 1e20F, most / 8}) {
    for (const float value : normal(kBlock)) x.push_back(std::clamp(value, -7.0F, 7.0F) * scale);
  }
  for (int c = 0; c < kBlock; ++c) x.push_back(c == 5 ? -127.0F : static_cast<float>(c) - 16.5F);  // ties
  for (int c = 0; c < kBlock; ++c) x.push_back(c % 2 == 0 ? most : -most);
  const size_t blocks = x.size() / kBlock;
  std::vector<Q8Block> found(blocks);
  std::vector<Q8Block> wanted(blocks);
  isa.quantize_q8(x.data(), blocks, found.data());
  scalar.quantize_q8(x.data(), blocks, wanted.data());
  for (size_t b = 0; b < blocks; ++b) {
    EXPECT_EQ(std::bit_cast<uint32_t>(found[b].scale), std::bit_cast<uint32_t>(wanted[b].scale)) << b;
    EXPECT_EQ(found[b].sum, wanted[b].sum) << b;
    EXPECT_EQ(std::vector(found[b].q, found[b].q + kBlock), std::vector(wanted[b].q, wanted[b].q + kBlock)) << b;
    int sum = 0;
    for (const int8_t q : found[b].q) {
      sum += q;
      EXPECT_GE(q, -127);
    }
    EXPECT_EQ(found[b].sum, sum);
  }
}

PHIAL_EVERY_ISA(Gemm);

// The layouts, as kernels.h writes them out, against a sum in double.
double weight(const PhialQ4Tile& tile, int r, int c) {
  const int pair = tile.nibbles[64 * (c / 8) + 4 * r + c % 4];
  return tensor::f8_to_f32(tile.scale[r]) * tensor::kPhialQ4Levels[c % 8 < 4 ? pair % 16 : pair / 16];
}
double weight(const PhialQ3Tile& tile, int r, int c) {
  const int s = c / 4;
  const int place = 4 * r + c % 4;
  const int a = tile.planes[place];
  const int b = tile.planes[64 + place];
  const int d = tile.planes[128 + place];
  const int all[] = {
      a % 8, a / 8 % 8, b % 8, b / 8 % 8, d % 8, d / 8 % 8, a / 64 + 4 * (b / 64 % 2), d / 64 + 4 * (b / 128)};
  return tensor::f8_to_f32(tile.scale[r]) * tensor::kPhialQ3Levels[all[s]];
}
template <class Tile>
double weight(const Tile& tile, int r, int c) {
  const double scale = tensor::f16_to_f32(tile.scale[r]);
  if constexpr (std::is_same_v<Tile, Q8Tile>) {
    const int place = 64 * (c / 4) + 4 * r + c % 4;
    return scale * tile.q[place];
  } else {
    const int p = c / 8;
    const int j = c % 4;
    const int n = c - 8 * p < 4 ? tile.nibbles[64 * p + 4 * r + j] % 16 : tile.nibbles[64 * p + 4 * r + j] / 16;
    if constexpr (std::is_same_v<Tile, Q4MinTile>) {
      return scale * n + tensor::f16_to_f32(tile.min[r]);
    } else {
      return scale * (n - 8);
    }
  }
}

class Book : public Gemm {
 protected:
  template <class Tile>
  void expect_as_the_book() {
    const size_t blocks = 5;
    const auto w = random_tiles<Tile>(2 * blocks);
    const auto x = random_blocks(blocks + 1);
    const auto y = multiply(isa, w, 2, x, 1);
    for (int row = 0; row < 32; ++row) {
      double wanted = 0;
      double size = 0;
      for (size_t d = 0; d < blocks * kBlock; ++d) {
        const int c = static_cast<int>(d) % kBlock;
        const Q8Block& block = x[d / kBlock];
        const Tile& tile = w[static_cast<size_t>(row / kTileRows) * blocks + d / kBlock];
        const double term = weight(tile, row % kTileRows, c) * block.scale * block.q[c];
        wanted += term;
        size += std::abs(term);
      }
      EXPECT_NEAR(y[static_cast<size_t>(row)], wanted, size * 2e-6) << row;
    }
  }
};

TEST_P(Book, Q4MeansWhatTheMenuSays) { expect_as_the_book<Q4Tile>(); }
TEST_P(Book, Q4MinMeansWhatTheMenuSays) { expect_as_the_book<Q4MinTile>(); }
TEST_P(Book, Q8MeansWhatTheMenuSays) { expect_as_the_book<Q8Tile>(); }
TEST_P(Book, PhialQ4MeansWhatTheMenuSays) { expect_as_the_book<PhialQ4Tile>(); }
TEST_P(Book, PhialQ3MeansWhatTheMenuSays) { expect_as_the_book<PhialQ3Tile>(); }

PHIAL_EVERY_ISA(Book);

}  // namespace
}  // namespace phial::kernels
