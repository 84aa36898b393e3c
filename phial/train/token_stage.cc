#include "phial/train/token_stage.h"

#include <algorithm>
#include <vector>

namespace phial::train {
namespace {

int64_t targets_of(const Batch& batch) { return batch.targets.ne(kIgnored).sum().item<int64_t>(); }

}  // namespace

Result<StepSums> TokenStage::step(const Network& network, uint64_t first) {
  std::vector<Batch> batches;
  int64_t targets = 0;
  StepSums sums;
  for (int64_t i = 0; i < options_.accumulate; ++i) {
    PHIAL_TRY(Batch batch, source_->batch(first + static_cast<uint64_t>(i * options_.rows), options_.rows));
    batch.table = options_.table;
    targets += targets_of(batch);
    sums.tokens += batch.ids.numel();
    batches.push_back(std::move(batch));
  }
  const auto share = static_cast<double>(std::max<int64_t>(1, targets));
  for (const Batch& batch : batches) {
    const CrossEntropy loss = network.loss(batch, options_.z_loss);
    sums.loss += loss.nll.item<double>() / share;
    (loss.objective / share).backward();
  }
  sums.targets = static_cast<uint64_t>(targets);
  return sums;
}

Result<Metrics> TokenStage::evaluate(const Network& network) {
  if (!held_out_) return Metrics{};
  const at::NoGradGuard no_grad;
  auto left = static_cast<int64_t>(held_out_->rows());
  if (options_.held_out_rows > 0) left = std::min(left, options_.held_out_rows);
  double sum = 0;
  int64_t targets = 0;
  for (uint64_t first = 0; left > 0;) {
    const int64_t rows = std::min(left, options_.rows);
    PHIAL_TRY(Batch batch, held_out_->batch(first, rows));
    batch.table = options_.table;
    sum -= network.target_log_probabilities(batch).sum(at::kDouble).item<double>();
    targets += targets_of(batch);
    first += static_cast<uint64_t>(rows);
    left -= rows;
  }
  return Metrics{{"held_out_loss", sum / static_cast<double>(std::max<int64_t>(1, targets))}};
}

}  // namespace phial::train
