#include "phial/generate/draft_length.h"

#include <algorithm>

namespace phial::generate {
namespace {

constexpr double kNewest = 0.125;  // what the newest of many observations counts

void lean(double& average, double observed) { average += (observed - average) * kNewest; }

}  // namespace

int DraftLength::best(int evidence) const {
  const double p = share_right_[static_cast<size_t>(evidence)];
  double tokens = 1;
  double likely = 1;
  double best_rate = 1;
  int best = 0;
  for (int k = 1; k <= kMostDrafted; ++k) {
    likely *= p;
    tokens += likely;
    const double rate = tokens / (1 + k * row_cost_);
    if (rate <= best_rate) continue;
    best_rate = rate;
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
    step_ms_ == 0 ? void(step_ms_ = milliseconds) : lean(step_ms_, milliseconds);
  } else if (step_ms_ > 0) {
    // A row never costs more than a step of its own; what says so is a machine that was busy for a moment.
    lean(row_cost_, std::clamp((milliseconds / step_ms_ - 1) / drafted, 0.0, 1.0));
  }
}

}  // namespace phial::generate
