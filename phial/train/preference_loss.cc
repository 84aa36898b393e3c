#include "phial/train/preference_loss.h"

namespace phial::train {

at::Tensor preference_loss(const PairValues& policy, const PairValues& reference, const PairValues& tokens,
                           const PreferenceOptions& options) {
  at::Tensor chosen = policy.chosen - reference.chosen;
  at::Tensor rejected = policy.rejected - reference.rejected;
  if (options.loss != PreferenceLoss::kSigmoid) {
    chosen = chosen / tokens.chosen;
    rejected = rejected / tokens.rejected;
  }
  const at::Tensor margin = chosen - rejected;
  if (options.loss == PreferenceLoss::kIpo) return (margin - 1 / (2 * options.beta)).square();
  const at::Tensor as_labelled = at::log_sigmoid(margin * options.beta);
  if (options.label_smoothing == 0) return -as_labelled;
  return -as_labelled * (1 - options.label_smoothing) -
         at::log_sigmoid(margin * -options.beta) * options.label_smoothing;
}

}  // namespace phial::train
