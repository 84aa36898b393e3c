#include "phial/train/token_stage.h"

#include <algorithm>
#include <iterator>
#include <utility>
#include <vector>

namespace phial::train {
namespace {

int64_t targets_of(const Batch& batch) { return batch.targets.ne(kIgnored).sum().item<int64_t>(); }

// The rows that serving would turn by the one rotary table, and those by the other: a row's longest document chooses,
// whatever rows are computed beside it.
std::vector<Batch> parts_by_table(const spec::DecoderSpec& spec, Batch batch) {
  if (!spec.long_rope.active()) return {std::move(batch)};
  const at::Tensor are_long = batch.positions.amax(1) >= spec.long_rope.original_context;
  std::vector<Batch> parts;
  for (const spec::RopeTable table : {spec::RopeTable::kShort, spec::RopeTable::kLong}) {
    const at::Tensor rows = at::nonzero(are_long == (table == spec::RopeTable::kLong)).squeeze(1);
    if (rows.numel() == 0) continue;
    parts.push_back({.ids = batch.ids.index_select(0, rows),
                     .targets = batch.targets.index_select(0, rows),
                     .positions = batch.positions.index_select(0, rows),
                     .documents = batch.documents.index_select(0, rows),
                     .one_document_a_row = batch.one_document_a_row,
                     .table = table});
  }
  return parts;
}

}  // namespace

Status TokenStage::prepare(const Network&, const RunHooks&, ProcessGroup& group) {
  PHIAL_CHECKED(group.check_same(held_out_ ? static_cast<int64_t>(held_out_->rows()) : 0, "number of held-out rows"));
  const uint64_t hash = held_out_ ? held_out_->fingerprint() : 0;
  return group.check_same(static_cast<int64_t>(hash), "held-out data");
}

Result<StepSums> TokenStage::step(const Network& network, uint64_t first, GradientBuckets& gradients) {
  ProcessGroup& group = gradients.group();
  const RankShare own = group.share_of(samples_left(options_.samples, first, options_.rows * options_.accumulate));
  std::vector<Batch> batches;
  int64_t targets = 0;
  ComputedRows rows;
  for (int64_t at = own.begin; at < own.end; at += options_.rows) {
    PHIAL_TRY(Batch batch, source_->batch(first + static_cast<uint64_t>(at), std::min(options_.rows, own.end - at)));
    targets += targets_of(batch);
    rows += computed_rows(batch.ids);
    std::ranges::move(parts_by_table(network.spec(), std::move(batch)), std::back_inserter(batches));
  }
  double counts[] = {static_cast<double>(targets), static_cast<double>(rows.tokens), static_cast<double>(rows.pairs)};
  PHIAL_CHECKED(group.sum(counts));
  const double share = std::max(1.0, counts[0]);
  double loss = 0;
  for (const Batch& batch : batches) {
    const CrossEntropy found = network.loss(batch, options_.z_loss);
    loss += found.nll.item<double>() / share;
    if (&batch == &batches.back()) gradients.expect_last_pass();
    (found.objective / share).backward();
  }
  PHIAL_CHECKED(gradients.finish());
  PHIAL_CHECKED(group.sum({&loss, 1}));
  return StepSums{.loss = loss,
                  .targets = static_cast<uint64_t>(counts[0]),
                  .rows = {static_cast<int64_t>(counts[1]), static_cast<int64_t>(counts[2])},
                  .metrics = {}};
}

Result<Metrics> TokenStage::evaluate(const Network& network, const std::stop_token& stop, ProcessGroup& group) {
  if (!held_out_) return Metrics{};
  const at::NoGradGuard no_grad;
  auto all = static_cast<int64_t>(held_out_->rows());
  if (options_.held_out_rows > 0) all = std::min(all, options_.held_out_rows);
  double sums[] = {0, 0};  // of losses, and targets
  const auto measure = [&](RankShare part) -> Status {
    PHIAL_TRY(Batch batch, held_out_->batch(static_cast<uint64_t>(part.begin), part.size()));
    sums[1] += static_cast<double>(targets_of(batch));
    for (const Batch& each : parts_by_table(network.spec(), std::move(batch))) {
      sums[0] -= network.target_log_probabilities(each).sum(at::kDouble).item<double>();
    }
    return ok();
  };
  PHIAL_TRY(const bool is_done, in_step(group, stop, all, options_.rows, measure));
  if (!is_done) return Metrics{};
  PHIAL_CHECKED(group.sum(sums));
  return Metrics{{"held_out_loss", sums[0] / std::max(1.0, sums[1])}};
}

}  // namespace phial::train
