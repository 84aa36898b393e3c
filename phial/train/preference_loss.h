// The losses of direct preference optimization, from the log-probabilities of both answers under two models.
//
// All are [P], f32: a pair each. Sources: DPO (arXiv 2305.18290); IPO (2310.12036), per token as its authors' own
// experiments have it; conservative DPO (the note of E. Mitchell, 2023); per-token margins (SimPO 2405.14734, Tulu 3
// 2411.15124).
#pragma once

#include "phial/train/torch.h"

namespace phial::train {

enum class PreferenceLoss {
  kSigmoid,            // -log sigmoid(beta margin); smoothed: (1 - e) of it and e of that of the swapped pair
  kSigmoidNormalised,  // the same, margins per token
  kIpo,                // (margin per token - 1 / (2 beta))^2
};

struct PreferenceOptions {
  PreferenceLoss loss = PreferenceLoss::kSigmoid;
  double beta = 0.1;
  double label_smoothing = 0;  // of the sigmoid losses: the share of pairs that are labelled wrongly
};

// A number for each answer of every pair.
struct PairValues {
  at::Tensor chosen, rejected;
};

// `policy`, `reference`: log-probabilities, summed over an answer's tokens; `tokens`: how many these are.
// Differentiable in `policy`.
at::Tensor preference_loss(const PairValues& policy, const PairValues& reference, const PairValues& tokens,
                           const PreferenceOptions& options);

}  // namespace phial::train
