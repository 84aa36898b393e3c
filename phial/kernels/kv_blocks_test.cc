// Keys and values in blocks: rounding, scores and mixtures of every set, against scalar and against the numbers stored.
#include <cstring>

#include "phial/kernels/every_isa.h"

namespace phial::kernels {
namespace {

constexpr size_t kWidths[] = {1, 3, 8, 16, 17, 31, 32, 33, 48, 64, 80, 96, 100, 128, 257};

float number(const KvQ8* row, size_t e) {
  return tensor::f16_to_f32(row[e / kBlock].scale) * static_cast<float>(row[e / kBlock].q[e % kBlock]);
}
float number(const KvQ4* row, size_t e) {
  const KvQ4& block = row[e / kBlock];
  const uint8_t pair = block.nibbles[e % 16];
  return std::fma(tensor::f16_to_f32(block.scale), static_cast<float>(e % kBlock < 16 ? pair & 15 : pair >> 4),
                  tensor::f16_to_f32(block.min));
}

// The slots of a type of block.
template <class Block>
struct Slots;
template <>
struct Slots<KvQ8> {
  static constexpr auto kQuantize = &KernelSet::quantize_kv_q8;
  static constexpr auto kScores = &KernelSet::scores_q8;
  static constexpr auto kMix = &KernelSet::mix_q8;
  // Half a step of a block, and what rounding to f16 and f32 adds.
  static double bound(const KvQ8& block, double x) {
    return tensor::f16_to_f32(block.scale) * 0.5 + std::abs(x) * 0x1p-21;
  }
};
template <>
struct Slots<KvQ4> {
  static constexpr auto kQuantize = &KernelSet::quantize_kv_q4;
  static constexpr auto kScores = &KernelSet::scores_q4;
  static constexpr auto kMix = &KernelSet::mix_q4;
  static double bound(const KvQ4& block, double x) {
    const double min = tensor::f16_to_f32(block.min);
    return tensor::f16_to_f32(block.scale) * 0.5 + std::abs(x) * 0x1p-21 + std::max(std::abs(min) * 0x1p-11, 0x1p-24);
  }
};

class KvBlocks : public EveryIsa {
 protected:
  // Rows of E columns at a distance of one block more than they need.
  template <class Block>
  std::vector<Block> random_rows(size_t n_rows, size_t E) {
    const size_t blocks = (E + kBlock - 1) / kBlock;
    std::vector<Block> rows(n_rows * (blocks + 1));
    for (size_t n = 0; n < n_rows; ++n) {
      (scalar.*Slots<Block>::kQuantize)(normal(E).data(), E, rows.data() + n * (blocks + 1));
    }
    return rows;
  }

  template <class Block>
  void expect_rounded_as_scalar(const std::vector<float>& x, size_t E) {
    const size_t blocks = (E + kBlock - 1) / kBlock;
    std::vector<Block> found(blocks + 1), wanted(blocks + 1);
    std::memset(found.data(), 77, found.size() * sizeof(Block));
    std::memset(wanted.data(), 77, wanted.size() * sizeof(Block));
    (isa.*Slots<Block>::kQuantize)(x.data(), E, found.data());
    (scalar.*Slots<Block>::kQuantize)(x.data(), E, wanted.data());
    ASSERT_EQ(std::memcmp(found.data(), wanted.data(), found.size() * sizeof(Block)), 0) << E;
    for (size_t e = 0; e < E; ++e) {
      ASSERT_NEAR(number(found.data(), e), x[e], Slots<Block>::bound(found[e / kBlock], x[e])) << "column " << e;
    }
  }

  template <class Block>
  void rounding_is_as_scalar() {
    for (const size_t E : kWidths) {
      for (const float deviation : {0.0F, 1e-38F, 1e-9F, 1e-6F, 1e-4F, 1.0F, 300.0F, 1e4F}) {
        expect_rounded_as_scalar<Block>(normal(E, deviation), E);
      }
      expect_rounded_as_scalar<Block>(std::vector<float>(E, -0.0F), E);
      for (const float middle : {-60000.0F, -1000.3F, 1000.3F, 60000.0F}) {  // far from 0, next to each other
        auto x = normal(E, 0.01F);
        for (float& value : x) value += middle;
        expect_rounded_as_scalar<Block>(x, E);
      }
      std::vector<float> ties(E);
      for (size_t e = 0; e < E; ++e) ties[e] = e % kBlock == 0 ? 15.0F : 0.5F * static_cast<float>(e % 31);
      expect_rounded_as_scalar<Block>(ties, E);
    }
  }

  template <class Block>
  void scores_are_within_their_bound() {
    for (const size_t E : kWidths) {
      const size_t stride = (E + kBlock - 1) / kBlock + 1;
      const auto keys = random_rows<Block>(70, E);
      for (const size_t N : {1, 2, 4, 5, 31, 32, 33, 70}) {
        for (const size_t n_queries : {1, 2, 3, 5, 9}) {
          const auto q = normal(n_queries * (E + 2));
          std::vector<float> found(n_queries * (N + 1), 77);
          (isa.*Slots<Block>::kScores)(q.data(), E + 2, n_queries, {keys.data(), stride, N}, E, 0.125F, found.data(),
                                       N + 1);
          for (size_t t = 0; t < n_queries; ++t) {
            ASSERT_EQ(found[t * (N + 1) + N], 77) << "written past the end";
            for (size_t n = 0; n < N; ++n) {
              double wanted = 0, size = 0;
              for (size_t e = 0; e < E; ++e) {
                const double term = double{q[t * (E + 2) + e]} * number(keys.data() + n * stride, e) * 0.125;
                wanted += term;
                size += std::abs(term);
              }
              ASSERT_NEAR(found[t * (N + 1) + n], wanted, (static_cast<double>(E) / 4 + 8) * 0x1p-24 * size)
                  << "E " << E << " N " << N << " t " << t << " n " << n;
            }
          }
        }
      }
    }
  }

  template <class Block>
  void scores_do_not_depend_on_their_company() {
    const size_t E = 100, stride = 5, N = 70;
    const auto keys = random_rows<Block>(N, E);
    const auto q = normal(17 * E);
    const auto score = isa.*Slots<Block>::kScores;
    std::vector<float> together(17 * N);
    score(q.data(), E, 17, {keys.data(), stride, N}, E, 0.3F, together.data(), N);
    for (const size_t n_queries : {1, 2, 3, 5, 8, 16}) {
      for (const size_t first : {0, 1, 33}) {
        for (const size_t n_keys : {1, 6, 33, 37}) {
          std::vector<float> apart(n_queries * n_keys);
          score(q.data() + E, E, n_queries, {keys.data() + first * stride, stride, n_keys}, E, 0.3F, apart.data(),
                n_keys);
          for (size_t t = 0; t < n_queries; ++t) {
            for (size_t n = 0; n < n_keys; ++n) ASSERT_EQ(apart[t * n_keys + n], together[(t + 1) * N + first + n]);
          }
        }
      }
    }
  }

  template <class Block>
  void mix_is_as_scalar() {
    for (const size_t E : kWidths) {
      const size_t stride = (E + kBlock - 1) / kBlock + 1;
      const auto values = random_rows<Block>(70, E);
      for (const size_t N : {0, 1, 2, 5, 32, 33, 70}) {
        for (const size_t n_queries : {1, 2, 3, 5, 9}) {
          const auto weights = normal(n_queries * (N + 1));
          std::vector<float> found = normal(n_queries * (E + 1));
          std::vector<float> wanted = found;
          (isa.*Slots<Block>::kMix)(weights.data(), N + 1, n_queries, {values.data(), stride, N}, E, found.data(),
                                    E + 1);
          (scalar.*Slots<Block>::kMix)(weights.data(), N + 1, n_queries, {values.data(), stride, N}, E, wanted.data(),
                                       E + 1);
          ASSERT_EQ(first_difference(found, wanted), "") << "E " << E << " N " << N << " T " << n_queries;
        }
      }
    }
  }

  // The widest head that is promised: fewer rows fit at a time.
  template <class Block>
  void wide_rows_are_as_scalar() {
    const size_t E = 8192, stride = E / kBlock + 1, N = 3;
    const auto rows = random_rows<Block>(N, E);
    const auto q = normal(E);
    const std::vector<float> weights = {0.5F, -2, 1};
    std::vector<float> scores(N), found(E), wanted(E);
    (isa.*Slots<Block>::kScores)(q.data(), E, 1, {rows.data(), stride, N}, E, 1, scores.data(), N);
    for (size_t n = 0; n < N; ++n) {
      double sum = 0, size = 0;
      for (size_t e = 0; e < E; ++e) {
        sum += double{q[e]} * number(rows.data() + n * stride, e);
        size += std::abs(double{q[e]} * number(rows.data() + n * stride, e));
      }
      EXPECT_NEAR(scores[n], sum, (E / 4.0 + 8) * 0x1p-24 * size);
    }
    (isa.*Slots<Block>::kMix)(weights.data(), N, 1, {rows.data(), stride, N}, E, found.data(), E);
    (scalar.*Slots<Block>::kMix)(weights.data(), N, 1, {rows.data(), stride, N}, E, wanted.data(), E);
    EXPECT_EQ(first_difference(found, wanted), "");
  }
};

TEST_P(KvBlocks, Q8RoundsAsScalarAndWithinItsBound) { rounding_is_as_scalar<KvQ8>(); }
TEST_P(KvBlocks, Q4RoundsAsScalarAndWithinItsBound) { rounding_is_as_scalar<KvQ4>(); }
TEST_P(KvBlocks, ScoresOfQ8KeysAreWithinTheirBound) { scores_are_within_their_bound<KvQ8>(); }
TEST_P(KvBlocks, ScoresOfQ4KeysAreWithinTheirBound) { scores_are_within_their_bound<KvQ4>(); }
TEST_P(KvBlocks, ScoresOfQ8KeysDoNotDependOnTheirCompany) { scores_do_not_depend_on_their_company<KvQ8>(); }
TEST_P(KvBlocks, ScoresOfQ4KeysDoNotDependOnTheirCompany) { scores_do_not_depend_on_their_company<KvQ4>(); }
TEST_P(KvBlocks, MixOfQ8ValuesIsAsScalar) { mix_is_as_scalar<KvQ8>(); }
TEST_P(KvBlocks, MixOfQ4ValuesIsAsScalar) { mix_is_as_scalar<KvQ4>(); }
TEST_P(KvBlocks, WideRowsOfQ8AreAsScalar) { wide_rows_are_as_scalar<KvQ8>(); }
TEST_P(KvBlocks, WideRowsOfQ4AreAsScalar) { wide_rows_are_as_scalar<KvQ4>(); }

PHIAL_EVERY_ISA(KvBlocks);

}  // namespace
}  // namespace phial::kernels
