// The tests model.golden_* run golden fixtures once per instruction set, with PHIAL_ISA: on a machine that cannot run
// the set there is nothing to test, and ctest lists the test as skipped. PHIAL_GOLDEN tells these runs from a person's,
// who would take other kernels' results for those of the set that they named.
#include <gtest/gtest.h>

#include <cstdlib>

#include "phial/kernels/kernels.h"

namespace phial::model {
namespace {

class ForcedIsa : public testing::Environment {
  void SetUp() override {
    const char* refused = kernels::refused_choice();
    if (refused == nullptr) return;
    ASSERT_NE(std::getenv("PHIAL_GOLDEN"), nullptr) << "PHIAL_ISA names '" << refused << "', which cannot run here";
    GTEST_SKIP() << "this machine cannot run " << refused << ": its processor lacks these instructions";
  }
};

[[maybe_unused]] const testing::Environment* const kForcedIsa = testing::AddGlobalTestEnvironment(new ForcedIsa);

}  // namespace
}  // namespace phial::model
