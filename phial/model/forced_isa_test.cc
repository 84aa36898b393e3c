// The tests model.golden_* run golden fixtures once per instruction set, with PHIAL_ISA: on a machine that cannot run
// the set there is nothing to test, and ctest lists the test as skipped.
#include <gtest/gtest.h>

#include "phial/kernels/kernels.h"

namespace phial::model {
namespace {

class ForcedIsa : public testing::Environment {
  void SetUp() override {
    if (const char* refused = kernels::refused_choice()) GTEST_SKIP() << "this machine cannot run " << refused;
  }
};

[[maybe_unused]] const testing::Environment* const kForcedIsa = testing::AddGlobalTestEnvironment(new ForcedIsa);

}  // namespace
}  // namespace phial::model
