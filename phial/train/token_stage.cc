#include "phial/train/token_stage.h"

#include <algorithm>
#include <iterator>
#include <utility>
#include <vector>

#include "phial/train/training_picture.h"

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
    Batch part = {.ids = batch.ids.index_select(0, rows),
                  .targets = batch.targets.index_select(0, rows),
                  .positions = batch.positions.index_select(0, rows),
                  .documents = batch.documents.index_select(0, rows),
                  .one_document_a_row = batch.one_document_a_row,
                  .table = table};
    for (int64_t r = 0; r < rows.numel(); ++r) {
      for (const BatchPicture& picture : batch.pictures) {
        if (picture.row != rows[r].item<int64_t>()) continue;
        part.pictures.push_back(picture);
        part.pictures.back().row = r;
      }
    }
    parts.push_back(std::move(part));
  }
  return parts;
}

// Of the documents of a batch: how many have targets, and of how many every target `is_best`, [B, T].
void count_answers(const Batch& batch, const at::Tensor& is_best, double& answers, double& exact) {
  const at::Tensor counts = batch.targets.ne(kIgnored), wrong = counts.logical_and(is_best.logical_not());
  for (int64_t r = 0; r < batch.ids.size(0); ++r) {
    const int64_t documents = batch.documents[r].max().item<int64_t>() + 1;
    for (int64_t d = 0; d < documents; ++d) {
      const at::Tensor own = batch.documents[r].eq(d);
      if (!counts[r].logical_and(own).any().item<bool>()) continue;
      answers += 1;
      exact += wrong[r].logical_and(own).any().item<bool>() ? 0 : 1;
    }
  }
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
  // What fails at one rank is told when all have met as often as they do in any step: none waits for another in vain.
  Status done = ok();
  for (int64_t at = own.begin; done && at < own.end; at += options_.rows) {
    auto batch = source_->batch(first + static_cast<uint64_t>(at), std::min(options_.rows, own.end - at));
    if (!batch) {
      done = std::move(batch).error();
      break;
    }
    targets += targets_of(*batch);
    rows += computed_rows(batch->ids);
    std::ranges::move(parts_by_table(network.spec(), *std::move(batch)), std::back_inserter(batches));
  }
  double counts[] = {static_cast<double>(targets), static_cast<double>(rows.tokens), static_cast<double>(rows.pairs)};
  PHIAL_CHECKED(group.sum(counts));
  const double share = std::max(1.0, counts[0]);
  std::vector<at::Tensor> losses;  // read when all is on its way: a device is not waited for in between
  for (size_t i = 0; done && i < batches.size(); ++i) {
    Batch batch = std::move(batches[i]);  // with its pixels for no longer than it is computed
    done = cut_pictures(batch);
    if (!done) break;
    const CrossEntropy found = network.loss(batch, options_.z_loss);
    losses.push_back(found.nll);
    if (i + 1 == batches.size()) gradients.expect_last_pass();
    // Texts alone reach nothing that is trained where the decoder stays as it is.
    if (found.objective.requires_grad()) (found.objective / share).backward();
  }
  PHIAL_CHECKED(gradients.finish());
  double ends[] = {0.0, done ? 0.0 : 1.0};
  for (const at::Tensor& each : losses) ends[0] += each.item<double>() / share;
  PHIAL_CHECKED(group.sum(ends));
  if (ends[1] > 0) return group.agree(std::move(done)).error();
  return StepSums{.loss = ends[0],
                  .targets = static_cast<uint64_t>(counts[0]),
                  .rows = {static_cast<int64_t>(counts[1]), static_cast<int64_t>(counts[2])},
                  .metrics = {}};
}

Result<Metrics> TokenStage::evaluate(const Network& network, const std::stop_token& stop, ProcessGroup& group) {
  if (!held_out_) return Metrics{};
  const at::NoGradGuard no_grad;
  auto all = static_cast<int64_t>(held_out_->rows());
  if (options_.held_out_rows > 0) all = std::min(all, options_.held_out_rows);
  double sums[] = {0, 0, 0, 0};  // of losses, targets, answers, exact ones
  const auto measure = [&](RankShare part) -> Status {
    PHIAL_TRY(Batch batch, held_out_->batch(static_cast<uint64_t>(part.begin), part.size()));
    sums[1] += static_cast<double>(targets_of(batch));
    for (Batch& each : parts_by_table(network.spec(), std::move(batch))) {
      PHIAL_CHECKED(cut_pictures(each));
      const at::Tensor hidden = network.hidden(each);
      sums[0] -= network.target_log_probabilities(each, hidden).sum(at::kDouble).item<double>();
      if (options_.measures_answers) count_answers(each, network.targets_are_best(each, hidden), sums[2], sums[3]);
    }
    return ok();
  };
  PHIAL_TRY(const bool is_done, in_step(group, stop, all, options_.rows, measure));
  if (!is_done) return Metrics{};
  PHIAL_CHECKED(group.sum(sums));
  Metrics metrics = {{"held_out_loss", sums[0] / std::max(1.0, sums[1])}};
  if (options_.measures_answers) metrics.emplace_back("held_out_exact", sums[3] / std::max(1.0, sums[2]));
  return metrics;
}

}  // namespace phial::train
