#include "phial/model/memory_plan.h"

#include <gtest/gtest.h>

namespace phial::model {
namespace {

TEST(MemoryPlan, IsToldInOneLine) {
  const MemoryPlan plan{.weights_bytes = 107'000'000,
                        .kv_bytes = 50'100'000,
                        .scratch_bytes = 2'000'000,
                        .available_bytes = 8'250'000'000,
                        .context_tokens = 4096,
                        .kv_type = KvType::kQ8,
                        .smaller_kv_that_fits = {}};
  EXPECT_EQ(plan.text(),
            "107 MB of weights, 50.1 MB of keys and values in q8 for 4096 tokens, 2.0 MB of scratch: 159 MB in all, "
            "8.2 GB are free");
}

}  // namespace
}  // namespace phial::model
