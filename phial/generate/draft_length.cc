#include "phial/generate/draft_length.h"

#include <algorithm>

namespace phial::generate {
namespace {

constexpr double kNewest = 0.125;    // what the newest of many observations counts
constexpr double kLeastGain = 1.03;  // less is within what a step's time wanders by

// SmolLM2-135M in Q4_1 with AVX2: up to four rows the weights are streamed once, more are unpacked and multiplied.
constexpr std::array<double, kMostDrafted + 1> kShape = {0,   0.04, 0.12, 0.38, 0.94, 1.2, 1.65, 2.1,
                                                         2.3, 2.55, 2.8,  3.0,  3.3,  3.6, 3.8,  4.1};

// Few rows cost so little more that the measurement is mostly noise: they tell by the square of what they cost.
constexpr double kFull = 0.38 * 0.38;

void lean(double& average, double observed, double weight = 1) { average += (observed - average) * kNewest * weight; }

}  // namespace

double DraftLength::cost(int drafted) const { return row_scale_ * kShape[static_cast<size_t>(drafted)]; }

int DraftLength::best(int evidence) const {
  const double p = share_right_[static_cast<size_t>(evidence)];
  double tokens = 1;
  double likely = 1;
  double best_gain = kLeastGain;
  int best = 0;
  for (int k = 1; k <= kMostDrafted; ++k) {
    likely *= p;
    tokens += likely;
    const double gain = tokens / (1 + cost(k));
    if (gain <= best_gain) continue;
    best_gain = gain;
    best = k;
  }
  return best;
}

void DraftLength::saw(int evidence, int right, bool one_wrong) {
  double& share = share_right_[static_cast<size_t>(evidence)];
  for (int i = 0; i < right; ++i) lean(share, 1);
  if (one_wrong) lean(share, 0);
}

void DraftLength::took(int drafted, double milliseconds) {
  if (drafted == 0) {
    if (step_ms_ == 0) step_ms_ = milliseconds;
    lean(step_ms_, milliseconds);
    return;
  }
  if (step_ms_ == 0) return;
  // A row never costs more than a step of its own; what says so is a machine that was busy for a moment.
  const double measured = std::clamp(milliseconds / step_ms_ - 1, 0.0, static_cast<double>(drafted));
  const double shape = kShape[static_cast<size_t>(drafted)];
  lean(row_scale_, measured / shape, std::min(1.0, shape * shape / kFull));
}

}  // namespace phial::generate
