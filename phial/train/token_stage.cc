#include "phial/train/token_stage.h"

#include <algorithm>
#include <vector>

namespace phial::train {
namespace {

int64_t targets_of(const Batch& batch) { return batch.targets.ne(kIgnored).sum().item<int64_t>(); }

// The rotary table that serving a text as long as the longest document would take.
void choose_table(const Network& network, Batch& batch) {
  const auto longest = static_cast<int>(batch.positions.max().item<int64_t>()) + 1;
  batch.table = choose_rope_table(network.spec(), spec::RopePolicy::kDynamic, longest);
}

}  // namespace

Result<StepSums> TokenStage::step(const Network& network, uint64_t first) {
  std::vector<Batch> batches;
  int64_t targets = 0;
  StepSums sums;
  for (int64_t i = 0; i < options_.accumulate; ++i) {
    const uint64_t sample = first + static_cast<uint64_t>(i * options_.rows);
    const int64_t rows = samples_left(options_.samples, sample, options_.rows);
    if (rows == 0) break;
    PHIAL_TRY(Batch batch, source_->batch(sample, rows));
    choose_table(network, batch);
    targets += targets_of(batch);
    sums.rows += computed_rows(batch.ids);
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

Result<Metrics> TokenStage::evaluate(const Network& network, const std::stop_token& stop) {
  if (!held_out_) return Metrics{};
  const at::NoGradGuard no_grad;
  uint64_t all = held_out_->rows();
  if (options_.held_out_rows > 0) all = std::min(all, static_cast<uint64_t>(options_.held_out_rows));
  double sum = 0;
  int64_t targets = 0;
  for (uint64_t first = 0; first < all; first += static_cast<uint64_t>(options_.rows)) {
    if (stop.stop_requested()) return Metrics{};
    PHIAL_TRY(Batch batch, held_out_->batch(first, samples_left(all, first, options_.rows)));
    choose_table(network, batch);
    sum -= network.target_log_probabilities(batch).sum(at::kDouble).item<double>();
    targets += targets_of(batch);
  }
  return Metrics{{"held_out_loss", sum / static_cast<double>(std::max<int64_t>(1, targets))}};
}

}  // namespace phial::train
