#include "phial/train/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace phial::train {
namespace {

// Done so far of the steps [begin, end), 0 to 1.
double share_done(int64_t step, int64_t begin, int64_t end) {
  if (step < begin) return 0;
  if (step >= end) return 1;
  return static_cast<double>(step - begin) / static_cast<double>(end - begin);
}

}  // namespace

double learning_rate(const Schedule& schedule, int64_t step) {
  if (step < schedule.warmup_steps) {
    return schedule.peak * static_cast<double>(step + 1) / static_cast<double>(schedule.warmup_steps + 1);
  }
  const double least = schedule.peak * schedule.final_share;
  switch (schedule.kind) {
    case ScheduleKind::kConstant:
      return schedule.peak;
    case ScheduleKind::kCosine: {
      const double done = share_done(step, schedule.warmup_steps, schedule.steps);
      return least + (schedule.peak - least) * 0.5 * (1 + std::cos(std::numbers::pi * done));
    }
    case ScheduleKind::kWarmupStableDecay:
      break;
  }
  const int64_t decay_steps =
      schedule.decay_steps > 0 ? schedule.decay_steps : std::max<int64_t>(1, schedule.steps / 5);
  const double done = share_done(step, std::max(schedule.warmup_steps, schedule.steps - decay_steps), schedule.steps);
  const double left = schedule.decay_shape == DecayShape::kLinear ? 1 - done : 1 - std::sqrt(done);
  return least + (schedule.peak - least) * left;
}

}  // namespace phial::train
