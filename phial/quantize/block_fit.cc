#include "phial/quantize/block_fit.h"

#include <algorithm>
#include <cmath>
#include <initializer_list>

#include "phial/tensor/codebooks.h"
#include "phial/tensor/half.h"

namespace phial::quantize {
namespace {

using tensor::f16_to_f32;
using tensor::f32_to_f16;

constexpr uint16_t kHalfSign = 0x8000, kLargestHalf = 0x7BFF;

// The nearest half that is finite.
uint16_t finite_half(float value) {
  const uint16_t half = f32_to_f16(value);
  return (half & ~kHalfSign) > kLargestHalf ? static_cast<uint16_t>((half & kHalfSign) | kLargestHalf) : half;
}

// A half and its neighbours: next to the smallest halves, rounding is coarse.
struct Neighbours {
  uint16_t halves[3];
};
Neighbours neighbours(float value) {
  const uint16_t half = finite_half(value);
  const auto magnitude = static_cast<uint16_t>(half & ~kHalfSign), sign = static_cast<uint16_t>(half & kHalfSign);
  const auto below = static_cast<uint16_t>(magnitude == 0 ? 0 : magnitude - 1);
  const auto above = static_cast<uint16_t>(std::min<int>(magnitude + 1, kLargestHalf));
  return {{half, static_cast<uint16_t>(sign | below), static_cast<uint16_t>(sign | above)}};
}

// The half that, times `most`, reaches `largest`: rounded up where halves are so coarse that the nearest falls short.
uint16_t shared_half(float largest, int most) {
  const auto times = static_cast<float>(most);
  const uint16_t half = finite_half(largest / times);
  const bool falls_short = f16_to_f32(half) * times < 0.99F * largest;
  return falls_short && half < kLargestHalf ? static_cast<uint16_t>(half + 1) : half;
}

int whole_at_most(float value, int least, int most) {
  if (!(value > static_cast<float>(least))) return least;
  return value >= static_cast<float>(most) ? most : static_cast<int>(std::floor(value));
}

}  // namespace

BlockFit::BlockFit(tensor::DType dtype)
    : grid_(*tensor::grid_of(dtype)), levels_{.lowest = grid_.lowest, .highest = grid_.highest} {
  if (!grid_.levels.empty()) codebook_.emplace(grid_.levels);
}

Grid BlockFit::fit(const Group& group) const {
  return grid_.has_min ? best_step_and_offset(group, levels_, grid_.most_min == 1) : best_step(group, levels_);
}

void BlockFit::begin(std::span<const float> weights, std::span<const float> cost) {
  numbers_ = {};
  if (codebook_) return;  // the only group chooses
  float most_step = 0, most_offset = 0;
  for (size_t g = 0; g < grid_.block / grid_.group; ++g) {
    fits_[g] = fit({weights.subspan(g * grid_.group, grid_.group), cost.subspan(g * grid_.group, grid_.group)});
    most_step = std::max(most_step, std::fabs(fits_[g].step));
    most_offset = std::max(most_offset, fits_[g].offset);
  }
  if (grid_.most_scale == 1) return;
  numbers_.d = shared_half(most_step, grid_.most_scale);
  if (grid_.has_min) numbers_.dmin = shared_half(most_offset, grid_.most_min);
}

void BlockFit::begin_group(size_t group, const Group& weights, bool changed) {
  if (codebook_) {
    numbers_.scales[0] = 1;
    numbers_.d = f32_to_f16(tensor::f8_to_f32(codebook_->best_scale(weights)));
    current_ = {numbers_.step(0), 0};
    return;
  }
  const Grid wanted = changed ? fit(weights) : fits_[group];
  if (grid_.most_scale == 1) {
    choose_halves(weights, wanted);
  } else {
    choose_small_numbers(group, weights, wanted);
  }
  current_ = {numbers_.step(group), numbers_.offset(group)};
}

void BlockFit::choose_halves(const Group& group, const Grid& wanted) {
  numbers_.scales[0] = 1;
  if (grid_.has_min) numbers_.mins[0] = 1;
  double least = INFINITY;
  const Neighbours steps = neighbours(wanted.step), offsets = neighbours(wanted.offset);
  for (const uint16_t step : steps.halves) {
    for (const uint16_t offset : offsets.halves) {
      const uint16_t used = grid_.has_min ? offset : 0;
      const double error = error_of(group, {f16_to_f32(step), f16_to_f32(used)}, levels_);
      if (error < least) {
        least = error;
        numbers_.d = step;
        numbers_.dmin = used;
      }
      if (!grid_.has_min) break;
    }
  }
}

void BlockFit::choose_small_numbers(size_t g, const Group& group, const Grid& wanted) {
  const float d = f16_to_f32(numbers_.d), dmin = f16_to_f32(numbers_.dmin);
  const int least_scale = grid_.scale_has_sign ? -grid_.most_scale : 0, most_min = grid_.has_min ? grid_.most_min : 0;
  const int scale = d > 0 ? whole_at_most(wanted.step / d, least_scale, grid_.most_scale) : 0;
  const int min = dmin > 0 ? whole_at_most(wanted.offset / dmin, 0, most_min) : 0;
  double least = INFINITY;
  for (int s = scale; s <= std::min(scale + 1, grid_.most_scale); ++s) {
    for (int m = std::max(min - 1, 0); m <= std::min(min + 2, most_min); ++m) {
      const Grid grid = {d * static_cast<float>(s), dmin * static_cast<float>(m)};
      const double error = error_of(group, grid, levels_);
      if (error < least) {
        least = error;
        numbers_.scales[g] = static_cast<int8_t>(s);
        if (grid_.has_min) numbers_.mins[g] = static_cast<uint8_t>(m);
      }
    }
  }
}

float BlockFit::put(size_t k, float weight) {
  const int level = codebook_ ? codebook_->nearest(current_.step != 0 ? weight / current_.step : 0)
                              : nearest_level(weight, current_, levels_);
  numbers_.n[k] = static_cast<int8_t>(level);
  const float product = current_.step * static_cast<float>(level);
  return product - current_.offset;
}

}  // namespace phial::quantize
