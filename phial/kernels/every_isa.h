// For the tests of this room: runs each once per set that this machine can run, against scalar.
#pragma once

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "phial/kernels/kernels.h"
#include "phial/tensor/half.h"

namespace phial::kernels {

inline constexpr float kInfinity = std::numeric_limits<float>::infinity();

class EveryIsa : public testing::TestWithParam<const KernelSet*> {
 protected:
  std::vector<float> normal(size_t n, float deviation = 1) {
    std::normal_distribution<float> distribution(0, deviation);
    std::vector<float> values(n);
    for (float& value : values) value = distribution(random);
    return values;
  }
  std::vector<uint16_t> normal_f16(size_t n) {
    std::vector<uint16_t> values;
    for (const float value : normal(n)) values.push_back(tensor::f32_to_f16(value));
    return values;
  }

  const KernelSet& isa = *GetParam();
  const KernelSet& scalar = *runnable().front();
  std::mt19937 random{1};
};

#define PHIAL_EVERY_ISA(Suite)                                                                      \
  INSTANTIATE_TEST_SUITE_P(Kernels, Suite, testing::ValuesIn(runnable().begin(), runnable().end()), \
                           [](const auto& tested) { return std::string(tested.param->name); })

// Equal to the bit, but for the sign of zero and which NaN.
inline bool same(float a, float b) { return a == b || (std::isnan(a) && std::isnan(b)); }

// The first place where two results differ, in words; empty if none does.
inline std::string first_difference(const std::vector<float>& found, const std::vector<float>& wanted) {
  for (size_t i = 0; i < wanted.size(); ++i) {
    if (!same(found[i], wanted[i])) {
      std::ostringstream text;
      text << "[" << i << "] is " << found[i] << ", not " << wanted[i];
      return text.str();
    }
  }
  return "";
}

}  // namespace phial::kernels
