// The scale of a group of weights with the least weighted squared error. Used inside quantize only.
//
// For given whole numbers n the best scale has a closed form, and for a given scale the best n are the nearest, so the
// optimum is one of the finitely many ways in which the weights can be rounded.
// Source: docs/decisions/0006-quantizer.md. Threads: pure functions.
#pragma once

#include <span>

namespace phial::quantize {

// Weights and what a squared error of each costs, both of the same length: at most kMostWeights.
struct Group {
  std::span<const float> weights, cost;
};
inline constexpr size_t kMostWeights = 32;

struct Levels {
  int lowest = 0, highest = 0;
};

// weight = step * n - offset, n held to the levels.
struct Grid {
  float step = 0, offset = 0;
};

// The nearest level to a weight on a grid. A step of 0 has only level 0.
int nearest_level(float weight, const Grid& grid, Levels levels);

// Sum of cost * (weight - what the grid makes of it)^2.
double error_of(const Group& group, const Grid& grid, Levels levels);

// The best grid without offset, over all scales from where the largest weight is about the last level to where it is
// cut by a third (less for many levels). Its step may be negative: -8 is one more level than 7.
// Promise: levels.lowest < 0.
Grid best_step(const Group& group, Levels levels);

// A good grid with an offset: descent from several starts, each of which cuts the ends of the range by other amounts.
// `any_sign`: the offset may be negative. Promise: levels.lowest is 0.
Grid best_step_and_offset(const Group& group, Levels levels, bool any_sign);

}  // namespace phial::quantize
