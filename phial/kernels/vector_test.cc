// Attention, norms and the elementwise kernels: every set against scalar, within the bounds that kernels.h promises.
#if !defined(__wasm__)
#include <sys/mman.h>
#endif

#include <algorithm>

#include "phial/kernels/every_isa.h"

namespace phial::kernels {
namespace {

constexpr size_t kLengths[] = {1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 64, 96, 100, 257};

class Vector : public EveryIsa {
 protected:
  template <class T>
  static float number(T value) {
    if constexpr (std::is_same_v<T, uint16_t>) return tensor::f16_to_f32(value);
    return value;
  }

  template <class T>
  void expect_scores(const std::vector<T>& keys,
                     void (*found_by)(const float*, size_t, size_t, const KvRows<T>&, size_t, float, float*, size_t)) {
    for (const size_t E : {1, 3, 16, 17, 48, 64, 80, 96, 100, 128, 257}) {
      for (const size_t N : {1, 2, 4, 5, 8, 15, 16, 17, 40}) {
        for (const size_t T_queries : {1, 2, 3, 4, 5, 9}) {
          const auto q = normal(T_queries * (E + 2));
          std::vector<float> found(T_queries * (N + 1), 77);
          found_by(q.data(), E + 2, T_queries, {keys.data(), E + 1, N}, E, 0.125F, found.data(), N + 1);
          for (size_t t = 0; t < T_queries; ++t) {
            EXPECT_EQ(found[t * (N + 1) + N], 77) << "written past the end";
            for (size_t n = 0; n < N; ++n) {
              double wanted = 0;
              double size = 0;
              for (size_t e = 0; e < E; ++e) {
                const double term = double{q[t * (E + 2) + e]} * number(keys[n * (E + 1) + e]) * 0.125;
                wanted += term;
                size += std::abs(term);
              }
              ASSERT_NEAR(found[t * (N + 1) + n], wanted, (static_cast<double>(E) / 4 + 8) * 0x1p-24 * size)
                  << "E " << E << " N " << N << " T " << T_queries << " t " << t << " n " << n;
            }
          }
        }
      }
    }
  }

  // What is promised above speed: a row has the same bits in any company, of queries and of keys.
  template <class T>
  void expect_scores_in_any_company(const std::vector<T>& keys,
                                    void (*score)(const float*, size_t, size_t, const KvRows<T>&, size_t, float, float*,
                                                  size_t)) {
    const size_t E = 96;
    const size_t N = 37;
    const auto q = normal(17 * E);
    std::vector<float> together(17 * N);
    score(q.data(), E, 17, {keys.data(), E, N}, E, 0.3F, together.data(), N);
    for (const size_t n_queries : {1, 2, 3, 5, 8, 16}) {
      for (const size_t n_keys : {1, 6, 16, 36, 37}) {
        std::vector<float> apart(n_queries * n_keys);
        score(q.data() + E, E, n_queries, {keys.data(), E, n_keys}, E, 0.3F, apart.data(), n_keys);
        for (size_t t = 0; t < n_queries; ++t) {
          for (size_t n = 0; n < n_keys; ++n) ASSERT_EQ(apart[t * n_keys + n], together[(t + 1) * N + n]);
        }
      }
    }
  }

  template <class T>
  void expect_mix(const std::vector<T>& values,
                  void (*found_by)(const float*, size_t, size_t, const KvRows<T>&, size_t, float*, size_t),
                  void (*wanted_by)(const float*, size_t, size_t, const KvRows<T>&, size_t, float*, size_t)) {
    for (const size_t E : {1, 3, 16, 17, 48, 64, 80, 96, 100, 128, 257}) {
      for (const size_t N : {0, 1, 2, 5, 40}) {
        for (const size_t n_queries : {1, 2, 3, 4, 5, 9}) {
          const auto weights = normal(n_queries * (N + 1));
          std::vector<float> found = normal(n_queries * (E + 1));
          std::vector<float> wanted = found;
          found_by(weights.data(), N + 1, n_queries, {values.data(), E + 2, N}, E, found.data(), E + 1);
          wanted_by(weights.data(), N + 1, n_queries, {values.data(), E + 2, N}, E, wanted.data(), E + 1);
          ASSERT_EQ(first_difference(found, wanted), "") << "E " << E << " N " << N << " T " << n_queries;
        }
      }
    }
  }

  // 37 rows of E columns. What comes next is memory that nobody may touch.
  template <class T>
  void expect_same_whatever_is_next(const std::vector<T>& rows, size_t E,
                                    void (*score)(const float*, size_t, size_t, const KvRows<T>&, size_t, float, float*,
                                                  size_t),
                                    void (*mix)(const float*, size_t, size_t, const KvRows<T>&, size_t, float*,
                                                size_t)) {
    const size_t N = 37, stride = rows.size() / N, bytes = size_t{1} << 16;
#if defined(__wasm__)
    void* const closed = reinterpret_cast<void*>(~uintptr_t{0} - bytes);  // the last addresses, where no memory is
#else
    void* const closed = mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(closed, MAP_FAILED);
#endif
    const auto q = normal(5 * E), weights = normal(5 * N);
    for (const size_t n_queries : {1, 5}) {
      std::vector<float> scores(n_queries * N), out(n_queries * E);
      score(q.data(), E, n_queries, {rows.data(), stride, N}, E, 1, scores.data(), N);
      mix(weights.data(), N, n_queries, {rows.data(), stride, N}, E, out.data(), E);
      for (const size_t n_next : {0, 1, 37, 64}) {
        const KvRows<T> hinted = {rows.data(), stride, N, closed, n_next};
        std::vector<float> same_scores(scores.size()), same_out(out.size());
        score(q.data(), E, n_queries, hinted, E, 1, same_scores.data(), N);
        mix(weights.data(), N, n_queries, hinted, E, same_out.data(), E);
        EXPECT_EQ(first_difference(same_scores, scores), "");
        EXPECT_EQ(first_difference(same_out, out), "");
      }
    }
#if !defined(__wasm__)
    munmap(closed, bytes);
#endif
  }
};

TEST_P(Vector, ScoresOfF16KeysAreWithinTheirBound) { expect_scores(normal_f16(42 * 300), isa.scores_f16); }
TEST_P(Vector, ScoresOfF32KeysAreWithinTheirBound) { expect_scores(normal(42 * 300), isa.scores_f32); }
TEST_P(Vector, ScoresOfF16KeysDoNotDependOnTheirCompany) {
  expect_scores_in_any_company(normal_f16(42 * 300), isa.scores_f16);
}
TEST_P(Vector, ScoresOfF32KeysDoNotDependOnTheirCompany) {
  expect_scores_in_any_company(normal(42 * 300), isa.scores_f32);
}
TEST_P(Vector, MixOfF16ValuesIsAsScalar) { expect_mix(normal_f16(42 * 300), isa.mix_f16, scalar.mix_f16); }
TEST_P(Vector, MixOfF32ValuesIsAsScalar) { expect_mix(normal(42 * 300), isa.mix_f32, scalar.mix_f32); }

TEST_P(Vector, WhatIsReadNextChangesNothing) {
  const size_t E = 96, N = 37, blocks = E / kBlock;
  expect_same_whatever_is_next(normal_f16(N * E), E, isa.scores_f16, isa.mix_f16);
  const auto floats = normal(N * E);
  expect_same_whatever_is_next(floats, E, isa.scores_f32, isa.mix_f32);
  std::vector<KvQ8> q8(N * blocks);
  scalar.quantize_kv_q8(floats.data(), N * E, q8.data());
  expect_same_whatever_is_next(q8, E, isa.scores_q8, isa.mix_q8);
  std::vector<KvQ4> q4(N * blocks);
  scalar.quantize_kv_q4(floats.data(), N * E, q4.data());
  expect_same_whatever_is_next(q4, E, isa.scores_q4, isa.mix_q4);
}

TEST_P(Vector, MixReadsSubnormalHalfsExactly) {
  const std::vector<uint16_t> values = {0x0001, 0x8001, 0x03FF, 0x0400, 0x7BFF, 0xFBFF, 0x0000};
  std::vector<float> found(values.size(), 0);
  const float one = 1;
  isa.mix_f16(&one, 1, 1, {values.data(), values.size(), 1}, values.size(), found.data(), values.size());
  for (size_t i = 0; i < values.size(); ++i) EXPECT_EQ(found[i], tensor::f16_to_f32(values[i]));
}

TEST_P(Vector, SoftmaxDoesNotHideNan) {
  for (const size_t n : kLengths) {
    for (const size_t at : {size_t{0}, n / 2, n - 1}) {
      auto scores = normal(n);
      scores[at] = std::numeric_limits<float>::quiet_NaN();
      isa.softmax(scores.data(), n);
      for (size_t i = 0; i < n; ++i) ASSERT_TRUE(std::isnan(scores[i])) << n << " NaN at " << at << ": " << i;
    }
  }
}

TEST_P(Vector, SoftmaxIsWithinItsBound) {
  for (const size_t n : kLengths) {
    for (const float spread : {0.0F, 1.0F, 30.0F, 1e4F}) {
      auto scores = normal(n, spread + 1e-30F);
      if (n > 2) scores[n / 2] = -kInfinity;
      auto wanted = scores;
      isa.softmax(scores.data(), n);
      const float largest = *std::ranges::max_element(wanted);
      double sum = 0;
      for (const float s : wanted) sum += std::exp(double{s} - largest);
      for (size_t i = 0; i < n; ++i) {
        if (wanted[i] == -kInfinity) {
          ASSERT_EQ(scores[i], 0);
          continue;
        }
        const double weight = std::exp(double{wanted[i]} - largest) / sum;
        ASSERT_NEAR(scores[i], weight, (2e-6 + std::abs(double{wanted[i]} - largest) * 0x1p-23) * weight + 1e-37)
            << n << " spread " << spread << " at " << i;
      }
    }
  }
}

TEST_P(Vector, SoftmaxOfOneScoreIsOne) {
  for (float score : {0.0F, -3e38F, 3e38F}) {
    isa.softmax(&score, 1);
    EXPECT_EQ(score, 1);
  }
}

TEST_P(Vector, RmsnormIsWithinItsBoundAndMayWriteInPlace) {
  for (const size_t D : kLengths) {
    for (const float deviation : {1e-12F, 1.0F, 1e6F}) {
      const auto x = normal(D, deviation);
      const auto gain = normal(D);
      std::vector<float> found(D);
      std::vector<float> wanted(D);
      scalar.rmsnorm(x.data(), gain.data(), D, 1e-5F, wanted.data());
      isa.rmsnorm(x.data(), gain.data(), D, 1e-5F, found.data());
      auto in_place = x;
      isa.rmsnorm(in_place.data(), gain.data(), D, 1e-5F, in_place.data());
      for (size_t d = 0; d < D; ++d) {
        ASSERT_NEAR(found[d], wanted[d], (static_cast<float>(D) / 4 + 8) * 0x1p-24F * std::abs(wanted[d]) + 1e-37F);
        ASSERT_EQ(found[d], in_place[d]);
      }
    }
  }
}

TEST_P(Vector, LayernormIsNearScalarAndMayWriteInPlace) {
  for (const size_t D : kLengths) {
    auto x = normal(D);
    for (float& value : x) value += 3;
    const auto gain = normal(D);
    const auto bias = normal(D);
    std::vector<float> found(D);
    std::vector<float> wanted(D);
    scalar.layernorm(x.data(), gain.data(), bias.data(), D, 1e-5F, wanted.data());
    isa.layernorm(x.data(), gain.data(), bias.data(), D, 1e-5F, found.data());
    auto in_place = x;
    isa.layernorm(in_place.data(), gain.data(), bias.data(), D, 1e-5F, in_place.data());
    for (size_t d = 0; d < D; ++d) {
      ASSERT_NEAR(found[d], wanted[d], 1e-5F * (1 + std::abs(wanted[d]))) << D;
      ASSERT_EQ(found[d], in_place[d]);
    }
  }
}

TEST_P(Vector, RopeIsAsScalar) {
  for (const size_t half : kLengths) {
    auto found = normal(2 * half);
    auto wanted = found;
    const auto cos = normal(half);
    const auto sin = normal(half);
    isa.rope_half(found.data(), cos.data(), sin.data(), half);
    scalar.rope_half(wanted.data(), cos.data(), sin.data(), half);
    ASSERT_EQ(first_difference(found, wanted), "") << half;
  }
}

TEST_P(Vector, SiluIsWithinItsBoundEverywhere) {
  std::vector<float> gate = {0.0F, -0.0F, 1e-30F, -1e-30F, 87, -87, 88.8F, -88.8F, -100, -103, -200, 1e30F, -1e30F};
  for (float x = -30; x < 30; x += 0.0137F) gate.push_back(x);
  const std::vector<float> up(gate.size(), 1.0F);
  auto found = gate;
  isa.silu_mul(found.data(), up.data(), gate.size(), found.data());
  for (size_t i = 0; i < gate.size(); ++i) {
    const double wanted = gate[i] / (1 + std::exp(-double{gate[i]}));
    ASSERT_NEAR(found[i], wanted, 1e-6 * std::abs(wanted) + 1e-37) << gate[i];
  }
  const auto factor = normal(gate.size());
  auto out = factor;
  isa.silu_mul(gate.data(), out.data(), gate.size(), out.data());
  for (size_t i = 0; i < gate.size(); ++i) ASSERT_EQ(out[i], found[i] * factor[i]);
}

TEST_P(Vector, GeluIsWithinItsBoundEverywhere) {
  std::vector<float> x = {0.0F, -0.0F, 1e-30F, -1e-30F, 50, -50, 1e30F, -1e30F};
  for (float v = -12; v < 12; v += 0.0041F) x.push_back(v);
  auto found = x;
  isa.gelu(found.data(), found.size());
  for (size_t i = 0; i < x.size(); ++i) {
    const double wanted = 0.5 * x[i] * std::erfc(-x[i] * 0.70710678118654752);
    ASSERT_NEAR(found[i], wanted, 1e-6 * std::max(1.0, std::abs(double{x[i]}))) << x[i];
  }
}

TEST_P(Vector, AddAndF16AreAsScalarAtEveryLength) {
  for (const size_t n : kLengths) {
    const auto x = normal(n);
    auto found = normal(n);
    auto wanted = found;
    isa.add(x.data(), found.data(), n);
    scalar.add(x.data(), wanted.data(), n);
    ASSERT_EQ(first_difference(found, wanted), "") << n;

    std::vector<uint16_t> found_f16(n + 1, 77);
    std::vector<uint16_t> wanted_f16(n + 1, 77);
    isa.f32_to_f16(x.data(), n, found_f16.data());
    scalar.f32_to_f16(x.data(), n, wanted_f16.data());
    ASSERT_EQ(found_f16, wanted_f16) << n;
  }
}

TEST_P(Vector, F16RoundsByTheBook) {
  std::vector<float> x = {0.0F,     -0.0F,        65504,          65519.9F,       65520,    -65520,
                          1e30F,    kInfinity,    -kInfinity,     0x1p-24F,       0x1p-25F, 0x1.8p-25F,
                          0x1p-14F, 0x1.ffcp-15F, 1.00048828125F, 1.00146484375F, 1e-40F};
  std::vector<uint16_t> found(x.size());
  isa.f32_to_f16(x.data(), x.size(), found.data());
  for (size_t i = 0; i < x.size(); ++i) EXPECT_EQ(found[i], tensor::f32_to_f16(x[i])) << x[i];
}

TEST_P(Vector, DotRowsIsWithinItsBound) {
  for (const size_t D : {1, 7, 64, 384, 1000}) {
    const size_t n = 21;
    const auto rows = normal(n * D);
    const auto query = normal(D);
    std::vector<float> found(n);
    isa.dot_rows(query.data(), rows.data(), n, D, found.data());
    for (size_t i = 0; i < n; ++i) {
      double wanted = 0;
      double size = 0;
      for (size_t d = 0; d < D; ++d) {
        wanted += double{query[d]} * rows[i * D + d];
        size += std::abs(double{query[d]} * rows[i * D + d]);
      }
      ASSERT_NEAR(found[i], wanted, (static_cast<double>(D) / 4 + 8) * 0x1p-24 * size);
    }
  }
}

// One subnormal weight would slow `mix` down a hundred times on some processors.
TEST_P(Vector, NoWeightOfSoftmaxIsSubnormal) {
  for (const size_t n : {2, 40, 2049}) {
    std::vector<float> scores(n);
    for (size_t i = 0; i < n; ++i) scores[i] = -110 * static_cast<float>(i) / static_cast<float>(n - 1);
    isa.softmax(scores.data(), n);
    for (size_t i = 0; i < n; ++i) EXPECT_TRUE(scores[i] == 0 || std::isnormal(scores[i])) << scores[i];
    EXPECT_GT(scores[0], 0.0F);
    EXPECT_EQ(scores[n - 1], 0.0F);
  }
}

PHIAL_EVERY_ISA(Vector);

}  // namespace
}  // namespace phial::kernels
