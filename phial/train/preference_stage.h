// Pairs of answers as a stage of training: train/preference_loss over a model and the one it began as.
//
// Metrics, means over the pairs: reward_chosen, reward_rejected (beta times what the log-probability gained on the
// reference), reward_margin, reward_accuracy (share of pairs whose chosen answer has the larger reward), logp_chosen
// (a token's), logp_lost: log-probability a token that both answers lost on the reference. Of held-out
// pairs also kl, if it is asked for: the divergence of the model from the reference, over the whole vocabulary, at the
// tokens of both answers, their mean. Threads: one.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "phial/train/chat_data.h"
#include "phial/train/preference_loss.h"
#include "phial/train/stage.h"

namespace phial::train {

struct PreferenceStageOptions {
  PreferenceOptions preference = {};
  int64_t rows = 1, accumulate = 1;  // pairs
  uint64_t samples = 0;              // pairs in all; 0: without end
  int64_t held_out_pairs = 0;        // at most; 0: all
  uint64_t seed = 0;
  bool measures_divergence = false;   // of held-out pairs: the reference stays in memory
  std::filesystem::path folder = {};  // where the reference's log-probabilities are kept
};

class PreferenceStage : public Stage {
 public:
  PreferenceStage(std::vector<TokenizedPair> pairs, std::vector<TokenizedPair> held_out,
                  const PreferenceStageOptions& options);

  Status prepare(const Network& network, const RunHooks& hooks, ProcessGroup& group) override;
  Result<StepSums> step(const Network& network, uint64_t first, GradientBuckets& gradients) override;
  // held_out_loss, and the metrics of held-out pairs by names that begin with held_out_.
  Result<Metrics> evaluate(const Network& network, const std::stop_token& stop, ProcessGroup& group) override;

  uint64_t fingerprint() const;

 private:
  struct Pairs {
    std::vector<TokenizedPair> pairs;
    PairValues reference;  // [n], all of them
  };
  struct Sums;  // over pairs

  // The chosen answers' rows, then the rejected ones'.
  static Result<Batch> batch_of(const Network& network, const Pairs& all, const std::vector<int64_t>& which);
  Status find_reference(const Network& network, Pairs& all, const RunHooks& hooks, ProcessGroup& group) const;
  static Network frozen(const Network& network);
  // This rank's share of the pairs; the others' are zero. kCancelled at all ranks when one is stopped.
  Result<PairValues> compute_reference(const Network& network, const Pairs& all, const RunHooks& hooks,
                                       ProcessGroup& group) const;
  // Adds the pairs' loss, and with a `share` above 0 the gradients of share * loss.
  Status add(const Network& network, const Pairs& all, const std::vector<int64_t>& which, double share,
             Sums& sums) const;

  Pairs train_, held_out_;
  std::optional<Network> reference_;  // if divergence is measured
  PreferenceStageOptions options_;
};

}  // namespace phial::train
