// Attention of training, block by block: every set against scalar or the exact value, within what kernels.h promises.
#include <algorithm>
#include <limits>

#include "phial/kernels/every_isa.h"

namespace phial::kernels {
namespace {

class BlockAttention : public EveryIsa {
 protected:
  // y after a product with strides beyond its sizes; what lies between the rows must stay.
  static std::vector<float> product(const KernelSet& set, const std::vector<float>& a, const std::vector<float>& b,
                                    std::vector<float> y, size_t M, size_t N, size_t K, bool transposed) {
    set.add_product({.M = M,
                     .N = N,
                     .K = K,
                     .a = a.data(),
                     .a_row = transposed ? 1 : K + 1,
                     .a_column = transposed ? M + 1 : 1,
                     .b = b.data(),
                     .b_stride = N + 3,
                     .y = y.data(),
                     .y_stride = N + 2});
    return y;
  }
};

TEST_P(BlockAttention, ProductsAreAsScalarAtEveryShape) {
  for (const size_t M : {1, 2, 5, 6, 11, 12, 13, 29, 64}) {
    for (const size_t N : {1, 3, 7, 8, 9, 16, 17, 31, 32, 33, 47, 80}) {
      for (const size_t K : {0, 1, 2, 33}) {
        for (const bool transposed : {false, true}) {
          const auto a = normal((M + 1) * (K + 1)), b = normal((K + 1) * (N + 3)), y = normal(M * (N + 2));
          ASSERT_EQ(first_difference(product(isa, a, b, y, M, N, K, transposed),
                                     product(scalar, a, b, y, M, N, K, transposed)),
                    "")
              << M << " x " << N << " x " << K << (transposed ? " transposed" : "");
        }
      }
    }
  }
}

// What resuming on other blocks and any number of threads rests on.
TEST_P(BlockAttention, AProductCutIntoSeveralHasTheSameBits) {
  const size_t M = 30, N = 50, K = 40;
  const auto a = normal(M * K), b = normal(K * N);
  const auto multiply = [&](std::vector<float>& y, size_t m, size_t n, size_t k, size_t rows, size_t columns,
                            size_t deep) {
    isa.add_product({.M = rows,
                     .N = columns,
                     .K = deep,
                     .a = a.data() + m * K + k,
                     .a_row = K,
                     .a_column = 1,
                     .b = b.data() + k * N + n,
                     .b_stride = N,
                     .y = y.data() + m * N + n,
                     .y_stride = N});
  };
  std::vector<float> whole(M * N), cut(M * N);
  multiply(whole, 0, 0, 0, M, N, K);
  for (const auto& [k, deep] : {std::pair<size_t, size_t>{0, 7}, {7, 33}}) {
    for (const auto& [m, rows] : {std::pair<size_t, size_t>{0, 1}, {1, 29}}) {
      for (const auto& [n, columns] : {std::pair<size_t, size_t>{0, 21}, {21, 29}})
        multiply(cut, m, n, k, rows, columns, deep);
    }
  }
  EXPECT_EQ(first_difference(cut, whole), "");
}

TEST_P(BlockAttention, ProductsOfInfinitiesAndNanAreAsScalar) {
  auto a = normal(13 * 6), b = normal(6 * 36);
  a[3] = kInfinity;
  a[20] = std::numeric_limits<float>::quiet_NaN();
  b[40] = -kInfinity;
  b[80] = 3e38F;
  const std::vector<float> y(13 * 35);
  EXPECT_EQ(first_difference(product(isa, a, b, y, 13, 33, 5, false), product(scalar, a, b, y, 13, 33, 5, false)), "");
}

// What an emulation gets wrong: sums that lie in the middle between two floats but for a little, results below the
// smallest normal float, infinities on the way. Scalar too: its fused multiply-add may be a library's.
TEST_P(BlockAttention, ProductsAreRoundedOnce) {
  constexpr float kEven = 1 + 0x1p-12F, kOdd = 1 + 0x3p-12F, kTiny = 0x1p-80F,
                  kMost = std::numeric_limits<float>::max();
  const struct {
    float a, b, c, wanted;
  } cases[] = {
      {kEven, kEven, 0, 1 + 0x1p-11F},                    // 1 + 2^-11 + 2^-24, a tie: to even, down
      {kEven, kEven, kTiny, 1 + 0x1p-11F + 0x1p-23F},     // above it
      {kEven, kEven, -kTiny, 1 + 0x1p-11F},               // below it
      {-kEven, kEven, -kTiny, -1 - 0x1p-11F - 0x1p-23F},  // the same, negative
      {-kEven, kEven, kTiny, -1 - 0x1p-11F},
      {kEven, kOdd, 0, 1 + 0x1p-10F + 0x1p-22F},       // 1 + 2^-10 + 2^-23 + 2^-24: to even, up
      {kEven, kOdd, -kTiny, 1 + 0x1p-10F + 0x1p-23F},  // below it
      {kEven, kEven, -1 - 0x1p-11F, 0x1p-24F},
      {0x1p-75F * (1 + 0x1p-23F), 0x1p-75F * (1 - 0x1p-23F), 0x1p-127F + 0x1p-149F, 0x1p-127F + 0x1p-149F},
      {0x1p-75F * (1 + 0x1p-23F), 0x1p-75F * (1 - 0x1p-23F), 0, 0},
      {0x1p-75F * (1 + 0x1p-23F), 0x1p-75F, 0, 0x1p-149F},
      // Less than half a step below the least normal number: one rounding does not reach it.
      {0x1p-75F * (1 + 0x1p-23F), 0x1p-75F * (1 - 0x1p-23F), 0x1p-126F - 0x1p-149F, 0x1p-126F - 0x1p-149F},
      {-0x1p-75F * (1 + 0x1p-23F), 0x1p-75F * (1 - 0x1p-23F), -0x1p-126F + 0x1p-149F, -0x1p-126F + 0x1p-149F},
      {kMost, 1, 0x1p103F, kInfinity},
      {kMost, 1, 0x1p103F * (1 - 0x1p-24F), kMost},
      {kMost, 2, -kMost, kMost},
      {kMost, kMost, -kInfinity, -kInfinity},
      {kInfinity, 1, 1, kInfinity},
      {kInfinity, 0, 1, std::numeric_limits<float>::quiet_NaN()},
      {0, 1, 0, 0},
  };
  for (const auto& one : cases) {
    for (const size_t n : {1, 4, 17, 64}) {
      const std::vector<float> a(n, one.a), b(n, one.b);
      std::vector<float> y(n * n, one.c);
      isa.add_product({.M = n,
                       .N = n,
                       .K = 1,
                       .a = a.data(),
                       .a_row = 1,
                       .a_column = 1,
                       .b = b.data(),
                       .b_stride = n,
                       .y = y.data(),
                       .y_stride = n});
      EXPECT_EQ(first_difference(y, std::vector<float>(n * n, one.wanted)), "")
          << one.a << " * " << one.b << " + " << one.c;
    }
  }
}

// Block after block it is the softmax of all of them.
TEST_P(BlockAttention, OnlineSoftmaxIsSoftmaxOfAllBlocks) {
  for (const float spread : {0.0F, 1.0F, 30.0F, 1e4F}) {
    for (const size_t n_keys : {1, 3, 8, 17, 64}) {
      const size_t n_rows = 5, n_blocks = 4, E = 19;
      std::vector<float> largest(n_rows, -kInfinity), sums(n_rows), mixed(n_rows * E);
      std::vector<std::vector<float>> blocks;
      for (size_t block = 0; block < n_blocks; ++block) {
        auto scores = normal(n_rows * n_keys, spread + 1e-30F);
        for (size_t row = 0; n_keys > 1 && row < n_rows; ++row) scores[row * n_keys + row % (n_keys - 1)] = -kInfinity;
        blocks.push_back(scores);
        isa.online_softmax({n_rows, n_keys, E, scores.data(), largest.data(), sums.data(), mixed.data()});
        for (size_t row = 0; row < n_rows; ++row) {
          for (size_t n = 0; n < n_keys; ++n) {
            const float weight = scores[row * n_keys + n];
            const double below = double{blocks[block][row * n_keys + n]} - largest[row];
            ASSERT_TRUE(weight == 0 || std::isnormal(weight)) << weight;
            if (below == -kInfinity) {
              ASSERT_EQ(weight, 0);
            } else {
              ASSERT_NEAR(weight, std::exp(below), (2e-6 - below * 0x1p-23) * std::exp(below) + 1e-37);
            }
            for (size_t e = 0; e < E; ++e) mixed[row * E + e] += weight * static_cast<float>(e + 1);
          }
        }
      }
      for (size_t row = 0; row < n_rows; ++row) {
        double most = -kInfinity, sum = 0, room = 0;
        for (const auto& block : blocks) {
          for (size_t n = 0; n < n_keys; ++n) most = std::max(most, double{block[row * n_keys + n]});
        }
        for (const auto& block : blocks) {
          for (size_t n = 0; n < n_keys; ++n) {
            const double below = block[row * n_keys + n] - most, weight = std::exp(below);
            sum += weight;
            if (weight > 0) room += (1e-5 - below * 0x1p-21) * weight;
          }
        }
        ASSERT_EQ(largest[row], most);
        ASSERT_NEAR(sums[row], sum, room) << "spread " << spread << " keys " << n_keys;
        for (size_t e = 0; e < E; ++e) {
          ASSERT_NEAR(mixed[row * E + e], sum * static_cast<double>(e + 1), 2 * room * static_cast<double>(e + 1));
        }
      }
    }
  }
}

TEST_P(BlockAttention, GradientsOfSoftmaxAreWithinTheirBoundAndNeverSubnormal) {
  for (const size_t n_keys : {1, 3, 8, 17, 64}) {
    const size_t n_rows = 4;
    const auto scores = normal(n_rows * n_keys, 40);
    const auto gradients = normal(n_rows * n_keys, 1e-3F);
    auto found_weights = scores, found = gradients;
    found_weights[0] = -kInfinity;
    const auto means = normal(n_rows, 1e-3F);
    std::vector<float> log_sums;
    for (size_t row = 0; row < n_rows; ++row) {
      log_sums.push_back(*std::max_element(&scores[row * n_keys], &scores[row * n_keys] + n_keys) + 0.3F);
    }
    isa.softmax_gradient({n_rows, n_keys, found_weights.data(), found.data(), log_sums.data(), means.data()});
    EXPECT_EQ(found_weights[0], 0);
    EXPECT_EQ(found[0], 0);
    for (size_t i = 1; i < found.size(); ++i) {
      const double below = double{scores[i]} - log_sums[i / n_keys], weight = std::exp(below);
      const double apart = double{gradients[i]} - means[i / n_keys];
      const double room = (2e-6 - below * 0x1p-23) * weight;
      ASSERT_NEAR(found_weights[i], weight, room + 1e-37);
      ASSERT_NEAR(found[i], weight * apart,
                  (room + 4e-7 * weight) * (std::abs(apart) + std::abs(means[i / n_keys])) + 1e-37);
      ASSERT_TRUE(found_weights[i] == 0 || std::isnormal(found_weights[i])) << found_weights[i];
      ASSERT_TRUE(found[i] == 0 || std::isnormal(found[i])) << found[i];
    }
  }
}

// A network that diverges must be seen to.
TEST_P(BlockAttention, NanIsNotHidden) {
  const size_t n_rows = 3, E = 5;
  for (const size_t n_keys : {1, 8, 17, 64}) {
    for (const size_t at : {size_t{0}, n_keys / 2, n_keys - 1}) {
      const size_t place = n_keys + at;  // of the middle row
      auto with_nan = normal(n_rows * n_keys);
      with_nan[place] = std::numeric_limits<float>::quiet_NaN();
      std::vector<float> largest(n_rows, -kInfinity), sums(n_rows), mixed(n_rows * E), scores = with_nan;
      isa.online_softmax({n_rows, n_keys, E, scores.data(), largest.data(), sums.data(), mixed.data()});
      ASSERT_TRUE(std::isnan(scores[place])) << n_keys << " at " << at;
      auto next = normal(n_rows * n_keys);
      isa.online_softmax({n_rows, n_keys, E, next.data(), largest.data(), sums.data(), mixed.data()});
      for (size_t row = 0; row < n_rows; ++row) ASSERT_EQ(std::isnan(sums[row]), row == 1) << n_keys << " at " << at;

      const std::vector<float> log_sums(n_rows, 5), means(n_rows);
      scores = with_nan;
      auto gradients = normal(n_rows * n_keys);
      isa.softmax_gradient({n_rows, n_keys, scores.data(), gradients.data(), log_sums.data(), means.data()});
      for (size_t i = 0; i < scores.size(); ++i) {
        ASSERT_EQ(std::isnan(scores[i]), i == place);
        ASSERT_EQ(std::isnan(gradients[i]), i == place);
      }
      scores = normal(n_rows * n_keys);
      gradients = with_nan;
      isa.softmax_gradient({n_rows, n_keys, scores.data(), gradients.data(), log_sums.data(), means.data()});
      for (size_t i = 0; i < scores.size(); ++i) ASSERT_EQ(std::isnan(gradients[i]), i == place);
    }
  }
}

PHIAL_EVERY_ISA(BlockAttention);

}  // namespace
}  // namespace phial::kernels
