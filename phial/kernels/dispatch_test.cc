#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdlib>
#include <string_view>

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

TEST(Dispatch, EverySlotOfEveryRunnableSetIsFilled) {
  for (const KernelSet* set : runnable()) {
    const auto words = std::bit_cast<std::array<uintptr_t, sizeof(KernelSet) / sizeof(uintptr_t)>>(*set);
    EXPECT_EQ(std::ranges::count(words, 0U), 0) << set->name;
  }
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

// A set that cannot run here was not tested here: say so where a reader of the log will see it.
TEST(Dispatch, SetsThatThisMachineCannotRunArePrinted) {
  for (const char* name : compiled()) {
    if (!is_runnable(name)) GTEST_LOG_(WARNING) << "skipped: this machine cannot run the kernels of '" << name << "'";
  }
  EXPECT_LE(runnable().size(), compiled().size());
}

}  // namespace
}  // namespace phial::kernels
