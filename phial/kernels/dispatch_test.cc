#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "phial/kernels/isa.h"
#include "phial/kernels/kernels.h"

namespace phial::kernels {
namespace {

bool is_runnable(std::string_view name) {
  return std::ranges::any_of(runnable(), [&](const KernelSet* set) { return set->name == name; });
}

TEST(Dispatch, ScalarIsFirstAndTheActiveSetIsRunnable) {
  EXPECT_EQ(std::string_view(runnable().front()->name), "scalar");
  EXPECT_TRUE(is_runnable(active().name));
}

// An instruction set that falls back to plain loops for one kernel runs slowly, and nothing else would tell.
TEST(Dispatch, NoSetFallsBackToScalar) {
  using Words = std::array<uintptr_t, sizeof(KernelSet) / sizeof(uintptr_t)>;
  const auto scalar = std::bit_cast<Words>(*runnable().front());
  for (const KernelSet* set : runnable().subspan(1)) {
    const auto words = std::bit_cast<Words>(*set);
    for (size_t i = 0; i < words.size(); ++i) EXPECT_NE(words[i], scalar[i]) << set->name << ", slot " << i;
  }
}

TEST(Dispatch, TheEnvironmentForcesARunnableSet) {
  const char* forced = std::getenv("PHIAL_ISA");
  if (forced == nullptr) GTEST_SKIP() << "runs as kernels.forced_isa of ctest, with PHIAL_ISA=scalar";
  ASSERT_TRUE(is_runnable(forced)) << forced;
  EXPECT_EQ(std::string_view(active().name), forced);
}

// One test a set that is compiled in: a set that this machine cannot run was not tested here, and the summary of a run
// lists what was skipped by name.
class CompiledSet : public testing::TestWithParam<std::string> {};

TEST_P(CompiledSet, IsWholeAndMultipliesAsScalarDoes) {
  const auto found =
      std::ranges::find(runnable(), GetParam(), [](const KernelSet* set) { return std::string(set->name); });
  if (found == runnable().end())
    GTEST_SKIP() << "this machine cannot run " << GetParam() << ": its processor lacks these instructions";
  const KernelSet& set = **found;
  const auto words = std::bit_cast<std::array<uintptr_t, sizeof(KernelSet) / sizeof(uintptr_t)>>(set);
  ASSERT_EQ(std::ranges::count(words, 0U), 0) << "empty slots";

  Q8Tile tile = {};
  for (int r = 0; r < kTileRows; ++r) tile.scale[r] = static_cast<uint16_t>(0x3C00 + r);  // f16: from 1
  for (int i = 0; i < kTileRows * kBlock; ++i) tile.q[i] = static_cast<int8_t>(i * 37 % 255 - 127);
  float x[kBlock];
  for (int i = 0; i < kBlock; ++i) x[i] = static_cast<float>(i - 11);
  const auto product = [&](const KernelSet& of) {
    Q8Block block;
    of.quantize_q8(x, 1, &block);
    std::vector<float> y(kTileRows);
    of.gemm_q8(&tile,
               {.blocks = 1, .n_tokens = 1, .x = &block, .x_stride = 1, .y = y.data(), .y_stride = size_t{kTileRows}});
    return y;
  };
  EXPECT_EQ(product(set), product(*runnable().front()));
}

INSTANTIATE_TEST_SUITE_P(Kernels, CompiledSet,
                         testing::ValuesIn(std::vector<std::string>(compiled().begin(), compiled().end())),
                         [](const auto& tested) { return tested.param; });

}  // namespace
}  // namespace phial::kernels
