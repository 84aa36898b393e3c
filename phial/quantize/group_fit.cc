#include "phial/quantize/group_fit.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "phial/base/check.h"

namespace phial::quantize {
namespace {

// To the nearest whole number, halves to even, for |x| < 2^22: without SSE4.1 std::round is a call.
float nearest_whole(float x) {
  constexpr float kMagic = 12582912.0F;  // 1.5 * 2^23
  return (x + kMagic) - kMagic;
}

// The reciprocal of the step is searched from where the largest weight is kBelow levels short of the last to where it
// is kBeyond levels past it.
constexpr float kBelow = 2, kBeyond = 5;
constexpr size_t kMostEvents = kMostWeights * 8;  // each weight passes at most kBelow + kBeyond levels, and one begun

// A step in the scale at which one weight is rounded to the next level.
struct Event {
  float at;  // 1 / step
  int weight;
};

// The exact search for steps of one sign: walks 1 / step upwards through every value at which some weight is rounded to
// another level, and keeps the sums from which the best step for each rounding follows.
class Sweep {
 public:
  Sweep(const Group& group, Levels levels, float sign) : group_(group), levels_(levels), sign_(sign) {}

  void run(float from, float to) {
    collect(from, to);
    std::sort(events_.begin(), events_.begin() + n_events_,
              [](const Event& a, const Event& b) { return a.at < b.at || (a.at == b.at && a.weight < b.weight); });
    keep_if_better();
    for (size_t i = 0; i < n_events_; ++i) {
      const auto k = static_cast<size_t>(events_[i].weight);
      const double cost = group_.cost[k], weight = group_.weights[k];
      const double was = levels_of_[k], is = was + ((weight * sign_ > 0) ? 1 : -1);
      levels_of_[k] = static_cast<int>(is);
      product_ += cost * weight * (is - was);
      square_ += cost * (is * is - was * was);
      keep_if_better();
    }
  }

  // How much of the sum of cost * weight^2 the best step explains.
  double best_gain() const { return best_gain_; }
  float best_step() const { return best_step_; }

 private:
  // Levels at 1 / step = `from`, and every change up to `to`.
  void collect(float from, float to) {
    for (size_t k = 0; k < group_.weights.size(); ++k) {
      const float weight = group_.weights[k] * sign_, magnitude = std::fabs(weight);
      const int most = weight > 0 ? levels_.highest : -levels_.lowest;
      int level = static_cast<int>(nearest_whole(std::min(magnitude * from, static_cast<float>(most))));
      levels_of_[k] = weight > 0 ? level : -level;
      product_ += static_cast<double>(group_.cost[k]) * group_.weights[k] * levels_of_[k];
      square_ += static_cast<double>(group_.cost[k]) * level * level;
      for (; level < most; ++level) {
        const float at = (static_cast<float>(level) + 0.5F) / magnitude;
        if (!(at < to)) break;
        PHIAL_CHECK(n_events_ < events_.size());
        events_[n_events_++] = {at, static_cast<int>(k)};
      }
    }
  }

  void keep_if_better() {
    if (square_ <= 0) return;
    // A step against the sign explains nothing here: the other sweep finds it.
    const double step = product_ / square_;
    if (step * sign_ <= 0) return;
    const double gain = product_ * step;
    if (gain > best_gain_) {
      best_gain_ = gain;
      best_step_ = static_cast<float>(step);
    }
  }

  Group group_;
  Levels levels_;
  float sign_;
  std::array<Event, kMostEvents> events_;
  size_t n_events_ = 0;
  std::array<int, kMostWeights> levels_of_ = {};
  double product_ = 0, square_ = 0;  // sums of cost * weight * level, cost * level^2
  double best_gain_ = 0;
  float best_step_ = 0;
};

// The best grid for the levels that `grid` rounds the weights to: weighted linear regression.
Grid regress(const Group& group, const Grid& grid, Levels levels, bool any_sign) {
  const float inverse = grid.step != 0 ? 1 / grid.step : 0;
  const auto highest = static_cast<float>(levels.highest);
  double c = 0, cn = 0, cnn = 0, cw = 0, cwn = 0;
  for (size_t k = 0; k < group.weights.size(); ++k) {
    const float n = nearest_whole(std::clamp((group.weights[k] + grid.offset) * inverse, 0.0F, highest));
    const double cost = group.cost[k], weight = group.weights[k];
    c += cost;
    cn += cost * n;
    cnn += cost * n * n;
    cw += cost * weight;
    cwn += cost * weight * n;
  }
  const double determinant = c * cnn - cn * cn;
  if (determinant > 1e-9 * c * cnn) {
    const double step = (c * cwn - cn * cw) / determinant, offset = (cn * cwn - cnn * cw) / determinant;
    if (step > 0 && (any_sign || offset >= 0)) return {static_cast<float>(step), static_cast<float>(offset)};
  }
  if (any_sign) return grid;
  return {cnn > 0 && cwn > 0 ? static_cast<float>(cwn / cnn) : 0.0F, 0.0F};
}

}  // namespace

int nearest_level(float weight, const Grid& grid, Levels levels) {
  if (grid.step == 0) return 0;
  // Divided in double precision: a step may be so small that its reciprocal is infinite.
  const double level = (static_cast<double>(weight) + grid.offset) / grid.step;
  if (!(level > levels.lowest)) return levels.lowest;
  if (level >= levels.highest) return levels.highest;
  return static_cast<int>(std::lround(level));
}

double error_of(const Group& group, const Grid& grid, Levels levels) {
  double error = 0;
  const double inverse = grid.step != 0 ? 1.0 / grid.step : 0;
  for (size_t k = 0; k < group.weights.size(); ++k) {
    const double weight = group.weights[k];
    const auto level =
        static_cast<float>(std::clamp<double>((weight + grid.offset) * inverse, levels.lowest, levels.highest));
    const double difference = weight - (grid.step * nearest_whole(level) - grid.offset);
    error += group.cost[k] * difference * difference;
  }
  return error;
}

Grid best_step(const Group& group, Levels levels) {
  PHIAL_CHECK(levels.lowest < 0 && group.weights.size() <= kMostWeights);
  float most = 0;
  for (const float weight : group.weights) most = std::max(most, std::fabs(weight));
  const float reach = 1 / most;
  if (!std::isfinite(reach)) return {most / static_cast<float>(-levels.lowest), 0};
  const auto last = static_cast<float>(-levels.lowest);
  const float from = (last - kBelow) * reach, to = (last + kBeyond) * reach;
  Sweep up(group, levels, 1);
  up.run(from, to);
  Grid best = {up.best_step(), 0};
  if (-levels.lowest != levels.highest) {
    Sweep down(group, levels, -1);
    down.run(from, to);
    if (down.best_gain() > up.best_gain()) best.step = down.best_step();
  }
  return best;
}

Grid best_step_and_offset(const Group& group, Levels levels, bool any_sign) {
  PHIAL_CHECK(levels.lowest == 0 && group.weights.size() <= kMostWeights);
  const auto [least, most] = std::minmax_element(group.weights.begin(), group.weights.end());
  const float low = any_sign ? *least : std::min(*least, 0.0F), range = std::max(*most, low) - low;
  const auto highest = static_cast<float>(levels.highest);
  Grid best = {range / highest, -low};
  double best_error = error_of(group, best, levels);
  constexpr float kCuts[] = {-0.25F, 0.0F, 0.75F, 1.75F};  // in steps
  for (const float cut_low : kCuts) {
    for (const float cut_high : kCuts) {
      const float step = range / (highest + cut_low + cut_high);
      if (step <= 0) continue;
      Grid grid = {step, -(low + cut_low * step)};
      if (!any_sign) grid.offset = std::max(grid.offset, 0.0F);
      for (int round = 0; round < 3; ++round) {
        const Grid next = regress(group, grid, levels, any_sign);
        if (next.step == grid.step && next.offset == grid.offset) break;
        grid = next;
      }
      const double error = error_of(group, grid, levels);
      if (error < best_error) {
        best_error = error;
        best = grid;
      }
    }
  }
  return best;
}

}  // namespace phial::quantize
