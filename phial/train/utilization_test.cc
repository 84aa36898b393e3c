#include "phial/train/utilization.h"

#include <gtest/gtest.h>

#include <string>

#include "phial/spec/variants.h"

namespace phial::train {
namespace {

const spec::DecoderSpec& variant(const std::string& name) {
  for (const spec::DecoderSpec& spec : spec::variants()) {
    if (spec.name == name) return spec;
  }
  ADD_FAILURE() << "no " << name;
  return spec::variants().front();
}

// By hand, from the published shape: 32 layers of 3072, 8192 wide inside, 32 heads of 96, 32064 tokens.
TEST(Utilization, CountsTheOperationsOfAStep) {
  const double weights = 32.0 * (4.0 * 3072 * 3072 + 3.0 * 3072 * 8192) + 32064.0 * 3072;
  const ComputedRows rows = computed_rows(at::zeros({2, 2048}, at::kLong));
  EXPECT_EQ(rows.tokens, 4096);
  EXPECT_EQ(rows.pairs, 2 * (2048 * 2049 / 2));
  const double attention = 12.0 * 32 * 3072 * static_cast<double>(rows.pairs);
  const spec::DecoderSpec& mini = variant("phi3-mini-4k");
  EXPECT_DOUBLE_EQ(operations(mini, rows, false), 6 * weights * 4096 + attention);
  EXPECT_DOUBLE_EQ(operations(mini, rows, true), 4 * weights * 4096 + attention);
}

// The embedding alone multiplies nothing; as the output matrix too it does.
TEST(Utilization, CountsATiedOutputMatrix) {
  spec::DecoderSpec spec = variant("phi3-mini-4k");
  const ComputedRows rows = {.tokens = 10, .pairs = 0};
  const double apart = operations(spec, rows, false);
  spec.tied_output = true;
  EXPECT_DOUBLE_EQ(operations(spec, rows, false), apart);
}

TEST(Utilization, MeasuresAPeakThatNoMachineExceeds) {
  const double peak = peak_operations(at::kFloat);
  EXPECT_GT(peak, 1e8);
  EXPECT_LT(peak, 1e16);
}

}  // namespace
}  // namespace phial::train
