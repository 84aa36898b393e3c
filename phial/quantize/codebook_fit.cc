#include "phial/quantize/codebook_fit.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "phial/tensor/codebooks.h"

namespace phial::quantize {
namespace {

// Levels are whole numbers from -64 to 63, and so the borders between them multiples of a half: within half a level
// every ratio has the same nearest one.
constexpr int kHalves = 2;
constexpr int kLeast = -tensor::kCodeZero;

constexpr uint8_t kLargest = 0x7F, kScaleSign = 0x80;
constexpr float kCut = 2, kUnused = 0.65F;

// The largest scale that is at most `value`.
uint8_t scale_at_most(float value) {
  uint8_t low = 0;
  for (uint8_t step = 64; step > 0; step /= 2) {
    if (tensor::f8_to_f32(static_cast<uint8_t>(low + step)) <= value) low = static_cast<uint8_t>(low + step);
  }
  return low;
}

}  // namespace

CodebookFit::CodebookFit(std::span<const int8_t> levels) {
  const int below = -levels.front(), above = +levels.back();  // numbers, not letters
  low_ = std::min(below, above);
  high_ = std::max(below, above);
  size_t next = 0;
  for (size_t i = 0; i < nearest_.size(); ++i) {
    const auto at = static_cast<int>(i) + kLeast * kHalves;  // in halves
    while (next + 1 < levels.size() && levels[next] + levels[next + 1] <= at) ++next;
    nearest_[i] = levels[next];
  }
}

int8_t CodebookFit::nearest(float ratio) const {
  constexpr auto kLast = static_cast<float>(std::tuple_size_v<decltype(nearest_)> - 1);
  const float at = (ratio - static_cast<float>(kLeast)) * static_cast<float>(kHalves);
  return nearest_[static_cast<size_t>(std::clamp(at, 0.0F, kLast))];
}

double CodebookFit::error_of(const Group& group, float scale) const {
  double error = 0;
  const float inverse = scale != 0 ? 1 / scale : 0;
  for (size_t k = 0; k < group.weights.size(); ++k) {
    const float missed = group.weights[k] - scale * static_cast<float>(nearest(group.weights[k] * inverse));
    error += static_cast<double>(group.cost[k]) * missed * missed;
  }
  return error;
}

uint8_t CodebookFit::best_scale(const Group& group) const {
  float most = 0;
  for (const float weight : group.weights) most = std::max(most, std::fabs(weight));
  const uint8_t from = scale_at_most(most / (kCut * static_cast<float>(high_)));
  const int to = std::min<int>(scale_at_most(most / (kUnused * static_cast<float>(low_))) + 1, kLargest);
  uint8_t best = 0;
  double least = std::numeric_limits<double>::infinity();
  for (int scale = from; scale <= to; ++scale) {
    for (const uint8_t sign : {uint8_t{0}, kScaleSign}) {
      const auto f8 = static_cast<uint8_t>(scale | sign);
      const double error = error_of(group, tensor::f8_to_f32(f8));
      if (error < least) {
        least = error;
        best = f8;
      }
    }
  }
  return best;
}

}  // namespace phial::quantize
