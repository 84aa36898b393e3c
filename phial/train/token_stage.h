// The loss of predicting each target of packed rows: pretraining, and instruction tuning.
//
// The mean is over all targets of a step together, however many batches they were cut into. Of two rotary tables each
// row takes that of serving a text as long as its longest document. Threads: one.
#pragma once

#include <cstdint>
#include <memory>

#include "phial/train/batch.h"
#include "phial/train/stage.h"

namespace phial::train {

struct TokenStageOptions {
  int64_t rows = 1, accumulate = 1;
  double z_loss = 0;
  uint64_t samples = 0;       // rows in all; 0: without end
  int64_t held_out_rows = 0;  // at most; 0: all
  bool measures_answers = false;
};

class TokenStage : public Stage {
 public:
  // `held_out` may be nothing.
  TokenStage(std::unique_ptr<BatchSource> source, std::unique_ptr<BatchSource> held_out,
             const TokenStageOptions& options)
      : source_(std::move(source)), held_out_(std::move(held_out)), options_(options) {}

  // Sees that held-out data is the same at all ranks.
  Status prepare(const Network& network, const RunHooks& hooks, ProcessGroup& group) override;
  Result<StepSums> step(const Network& network, uint64_t first, GradientBuckets& gradients) override;
  // held_out_loss: mean negative log-likelihood. With measures_answers also held_out_exact: the share of conversations
  // whose every target is the likeliest token, which is what greedy decoding would say.
  Result<Metrics> evaluate(const Network& network, const std::stop_token& stop, ProcessGroup& group) override;

 private:
  std::unique_ptr<BatchSource> source_, held_out_;
  TokenStageOptions options_;
};

}  // namespace phial::train
