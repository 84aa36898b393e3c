// The learning rate of every step: warmup, then cosine or warmup-stable-decay. Pure functions of the step.
//
// Source: cosine, SGDR (arXiv 1608.03983); warmup-stable-decay, MiniCPM (arXiv 2404.06395); the shape of its decay,
// arXiv 2405.18392.
#pragma once

#include <cstdint>

namespace phial::train {

enum class ScheduleKind { kConstant, kCosine, kWarmupStableDecay };
enum class DecayShape { kLinear, kOneMinusSqrt };

struct Schedule {
  ScheduleKind kind = ScheduleKind::kCosine;
  double peak = 1e-3;        // the rate after the warmup
  double final_share = 0.1;  // of the peak, at the end
  int64_t steps = 0;         // in all
  int64_t warmup_steps = 0;  // linear from 0: step 0 already has a part of the rate
  int64_t decay_steps = 0;   // kWarmupStableDecay only: the last ones; 0: a fifth of all
  DecayShape decay_shape = DecayShape::kOneMinusSqrt;
};

// The rate of step 0, 1, ..., steps - 1; behind the last the final one.
double learning_rate(const Schedule& schedule, int64_t step);

}  // namespace phial::train
