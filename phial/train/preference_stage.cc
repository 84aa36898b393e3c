#include "phial/train/preference_stage.h"

#include <xxhash.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <system_error>

#include "phial/base/output_file.h"
#include "phial/formats/checkpoint.h"
#include "phial/formats/safetensors_writer.h"
#include "phial/train/shuffle.h"
#include "phial/train/stored_tensor.h"
#include "phial/train/training_picture.h"

namespace phial::train {
namespace {

// Of one answer of each pair: [P] sums of its tokens' log-probabilities, and how many these are.
PairValues halves_of(const at::Tensor& rows) {
  const at::Tensor sums = rows.sum(1, false, at::kDouble).to(at::kFloat);
  const int64_t pairs = rows.size(0) / 2;
  return {sums.slice(0, 0, pairs), sums.slice(0, pairs)};
}

std::vector<int64_t> numbers_in(RankShare part) {
  std::vector<int64_t> numbers(static_cast<size_t>(part.size()));
  std::iota(numbers.begin(), numbers.end(), part.begin);
  return numbers;
}

uint64_t fingerprint_of(const std::vector<TokenizedPair>& pairs) {
  uint64_t hash = pairs.size();
  for (const TokenizedPair& pair : pairs) hash = fingerprint(fingerprint(hash, pair.chosen), pair.rejected);
  return hash;
}

Result<PairValues> read_reference(const std::filesystem::path& file, int64_t pairs) {
  PHIAL_TRY(const auto stored, formats::Checkpoint::open(file));
  PairValues reference;
  for (auto [name, into] : {std::pair{"chosen", &reference.chosen}, std::pair{"rejected", &reference.rejected}}) {
    PHIAL_TRY(const formats::Tensor* tensor, stored.need(name));
    const auto bytes = static_cast<size_t>(pairs) * sizeof(float);
    if (tensor->dtype != tensor::DType::kF32 || tensor->bytes.size() != bytes) {
      return Error{Code::kCorrupt, file.string() + " is of other pairs", "remove it: it is made anew"};
    }
    *into = at::empty({pairs}, at::kFloat);
    std::copy_n(tensor->bytes.data(), bytes, reinterpret_cast<std::byte*>(into->mutable_data_ptr<float>()));
  }
  return reference;
}

Status write_reference(const std::filesystem::path& file, const PairValues& reference) {
  std::error_code failed;
  std::filesystem::remove(file, failed);  // one that cannot be read
  StoredTensors tensors;
  tensors.add("chosen", reference.chosen);
  tensors.add("rejected", reference.rejected);
  return write_beside(file, [&](const std::filesystem::path& partial) {
    return formats::write_safetensors(partial, tensors.tensors(), {});
  });
}

}  // namespace

struct PreferenceStage::Sums {
  double pairs = 0, targets = 0, computed_tokens = 0, computed_pairs = 0;
  double loss = 0, reward_chosen = 0, reward_rejected = 0, right = 0, logp_chosen = 0, chosen_tokens = 0, lost = 0;
  double divergence = 0;
  double failed = 0;  // ranks

  // Over all ranks.
  Status sum(ProcessGroup& group) {
    double* const all[] = {&pairs,         &targets,         &computed_tokens, &computed_pairs, &loss,
                           &reward_chosen, &reward_rejected, &right,           &logp_chosen,    &chosen_tokens,
                           &lost,          &divergence,      &failed};
    std::vector<double> values;
    for (const double* each : all) values.push_back(*each);
    PHIAL_CHECKED(group.sum(values));
    for (size_t i = 0; i < values.size(); ++i) *all[i] = values[i];
    return ok();
  }

  Metrics metrics(const std::string& prefix) const {
    const double n = std::max(1.0, pairs);
    return {{prefix + "reward_accuracy", right / n},
            {prefix + "reward_margin", (reward_chosen - reward_rejected) / n},
            {prefix + "reward_chosen", reward_chosen / n},
            {prefix + "reward_rejected", reward_rejected / n},
            {prefix + "logp_chosen", logp_chosen / std::max(1.0, chosen_tokens)},
            {prefix + "logp_lost", lost / std::max(1.0, targets)}};
  }
};

PreferenceStage::PreferenceStage(std::vector<TokenizedPair> pairs, std::vector<TokenizedPair> held_out,
                                 const PreferenceStageOptions& options)
    : train_{std::move(pairs), {}}, held_out_{std::move(held_out), {}}, options_(options) {}

uint64_t PreferenceStage::fingerprint() const { return fingerprint_of(train_.pairs); }

Result<Batch> PreferenceStage::batch_of(const Network& network, const Pairs& all, const std::vector<int64_t>& which) {
  std::vector<const TokenizedAnswer*> rows;
  rows.reserve(2 * which.size());
  for (const int64_t i : which) rows.push_back(&all.pairs[static_cast<size_t>(i)].chosen);
  for (const int64_t i : which) rows.push_back(&all.pairs[static_cast<size_t>(i)].rejected);
  size_t width = 0;
  for (const TokenizedAnswer* row : rows) width = std::max(width, row->ids.size());
  const at::Tensor zeros = at::zeros({static_cast<int64_t>(rows.size()), static_cast<int64_t>(width)}, at::kLong);
  Batch batch = {.ids = zeros,
                 .targets = at::full_like(zeros, kIgnored),
                 .positions = at::arange(zeros.size(1), at::kLong).expand_as(zeros).contiguous(),
                 .documents = at::zeros_like(zeros),
                 .one_document_a_row = true,  // what fills a row up stands behind all that counts
                 .table = choose_rope_table(network.spec(), spec::RopePolicy::kDynamic, static_cast<int>(width))};
  auto ids = batch.ids.accessor<int64_t, 2>(), targets = batch.targets.accessor<int64_t, 2>();
  for (size_t r = 0; r < rows.size(); ++r) {
    const auto row = static_cast<int64_t>(r);
    add_pictures(*rows[r], row, 0, batch);
    for (size_t i = 0; i < rows[r]->ids.size(); ++i) {
      ids[row][static_cast<int64_t>(i)] = std::max(0, rows[r]->ids[i]);
      if (i > 0 && rows[r]->is_answer[i]) targets[row][static_cast<int64_t>(i) - 1] = rows[r]->ids[i];
    }
  }
  PHIAL_CHECKED(cut_pictures(batch));
  return batch;
}

Status PreferenceStage::prepare(const Network& network, const RunHooks& hooks, ProcessGroup& group) {
  PHIAL_CHECKED(group.check_same(static_cast<int64_t>(fingerprint_of(held_out_.pairs)), "held-out data"));
  if (options_.measures_divergence && !held_out_.pairs.empty()) reference_.emplace(frozen(network));
  PHIAL_CHECKED(find_reference(network, train_, hooks, group));
  return find_reference(network, held_out_, hooks, group);
}

// The network as it is now. Under an adapter its own weights do not change, and are shared.
Network PreferenceStage::frozen(const Network& network) {
  std::vector<Parameter> parameters = network.parameters();
  if (network.lora().rank == 0) {
    for (Parameter& each : parameters) each.value = each.value.detach().clone();
  }
  return {network.spec(),
          std::move(parameters),
          network.options(),
          {},
          {},
          network.vision() ? &network.vision()->spec() : nullptr};
}

Status PreferenceStage::find_reference(const Network& network, Pairs& all, const RunHooks& hooks,
                                       ProcessGroup& group) const {
  const auto n = static_cast<int64_t>(all.pairs.size());
  const uint64_t key[] = {hash_of(network.parameters()), fingerprint_of(all.pairs),
                          static_cast<uint64_t>(network.output_options().compute)};
  const std::filesystem::path file =
      options_.folder / ("reference-" + std::to_string(XXH3_64bits(key, sizeof key)) + ".safetensors");
  auto kept = read_reference(file, n);
  PHIAL_TRY(const bool is_missing, group.is_any(!kept));
  if (!is_missing) {
    all.reference = *std::move(kept);
    return ok();
  }
  PHIAL_TRY(all.reference, compute_reference(network, all, hooks, group));
  PHIAL_CHECKED(group.start_sum(all.reference.chosen)());
  PHIAL_CHECKED(group.start_sum(all.reference.rejected)());
  return group.agree(group.is_first() ? write_reference(file, all.reference) : ok());
}

Result<PairValues> PreferenceStage::compute_reference(const Network& network, const Pairs& all, const RunHooks& hooks,
                                                      ProcessGroup& group) const {
  const auto n = static_cast<int64_t>(all.pairs.size());
  const RankShare own = group.share_of(n);
  PairValues reference = {at::zeros({n}, at::kFloat), at::zeros({n}, at::kFloat)};
  const auto compute = [&](RankShare part) -> Status {
    hooks.prepares("log-probabilities of the reference", part.begin - own.begin, own.size());
    PHIAL_TRY(const Batch batch, batch_of(network, all, numbers_in(part)));
    const PairValues found = halves_of(network.target_log_probabilities(batch));
    reference.chosen.slice(0, part.begin, part.end).copy_(found.chosen);
    reference.rejected.slice(0, part.begin, part.end).copy_(found.rejected);
    return ok();
  };
  PHIAL_TRY(const bool is_done, in_step(group, hooks.stop, n, options_.rows, compute));
  if (is_done) return reference;
  return Error{Code::kCancelled, "stopped before the first step", "the same command begins again"};
}

// Two passes over the output matrix: what a pair's loss makes of its log-probabilities is known only when all of its
// tokens are; the layers are computed once.
Status PreferenceStage::add(const Network& network, const Pairs& all, const std::vector<int64_t>& which, double share,
                            Sums& sums) const {
  PHIAL_TRY(const Batch batch, batch_of(network, all, which));
  const at::Tensor hidden = network.hidden(batch).flatten(0, 1), targets = batch.targets.flatten();
  CrossEntropyOptions output = network.output_options();
  const PairValues policy =
      halves_of(target_log_probabilities(hidden, network.head(), targets, output).view_as(batch.targets));
  const at::Tensor places = at::tensor(which, at::kLong);
  const PairValues reference = {all.reference.chosen.index_select(0, places),
                                all.reference.rejected.index_select(0, places)};
  const PairValues tokens = halves_of(batch.targets.ne(kIgnored).to(at::kFloat));

  const PairValues leaves = {policy.chosen.detach().requires_grad_(share > 0),
                             policy.rejected.detach().requires_grad_(share > 0)};
  const at::Tensor loss = preference_loss(leaves, reference, tokens, options_.preference).sum();
  if (share > 0) {
    (loss * share).backward();
    // The loss of a pair falls as a log-probability rises: the weights of their negatives.
    output.weights =
        (-at::cat({leaves.chosen.grad(), leaves.rejected.grad()})).unsqueeze(1).expand_as(batch.targets).flatten();
    cross_entropy(hidden, network.head(), targets, output).objective.backward();
  }

  const double beta = options_.preference.beta;
  const at::Tensor gained = policy.chosen - reference.chosen, gained_rejected = policy.rejected - reference.rejected;
  const auto sum = [](const at::Tensor& values) { return values.sum(at::kDouble).item<double>(); };
  sums.loss += loss.item<double>();
  sums.pairs += static_cast<double>(which.size());
  const ComputedRows rows = computed_rows(batch.ids);
  sums.computed_tokens += static_cast<double>(rows.tokens);
  sums.computed_pairs += static_cast<double>(rows.pairs);
  sums.chosen_tokens += sum(tokens.chosen);
  sums.targets += sum(tokens.chosen) + sum(tokens.rejected);
  sums.reward_chosen += beta * sum(gained);
  sums.reward_rejected += beta * sum(gained_rejected);
  sums.right += sum(gained.gt(gained_rejected).to(at::kFloat));
  sums.logp_chosen += sum(policy.chosen);
  sums.lost -= sum(gained) + sum(gained_rejected);
  if (share == 0 && reference_) {
    sums.divergence += sum(network.divergences(batch, hidden, *reference_));
  }
  return ok();
}

Result<StepSums> PreferenceStage::step(const Network& network, uint64_t first, GradientBuckets& gradients) {
  ProcessGroup& group = gradients.group();
  const uint64_t n = train_.pairs.size();
  const int64_t pairs = samples_left(options_.samples, first, options_.rows * options_.accumulate);
  const RankShare own = group.share_of(pairs);
  const double share = 1 / static_cast<double>(std::max<int64_t>(1, pairs));
  Sums sums;
  Status done = ok();  // told when all ranks have met as often as in any step
  for (int64_t begin = own.begin; done && begin < own.end; begin += options_.rows) {
    const int64_t end = std::min(own.end, begin + options_.rows);
    std::vector<int64_t> which;
    for (int64_t i = begin; i < end; ++i) {
      const uint64_t sample = first + static_cast<uint64_t>(i);
      which.push_back(static_cast<int64_t>(Shuffle(n, seed_of_epoch(options_.seed, sample / n))(sample % n)));
    }
    if (end == own.end) gradients.expect_last_pass();
    done = add(network, train_, which, share, sums);
  }
  PHIAL_CHECKED(gradients.finish());
  sums.failed = done ? 0 : 1;
  PHIAL_CHECKED(sums.sum(group));
  if (sums.failed > 0) return group.agree(std::move(done)).error();
  return StepSums{.loss = sums.loss * share,
                  .targets = static_cast<uint64_t>(sums.targets),
                  .rows = {static_cast<int64_t>(sums.computed_tokens), static_cast<int64_t>(sums.computed_pairs)},
                  .metrics = sums.metrics("")};
}

Result<Metrics> PreferenceStage::evaluate(const Network& network, const std::stop_token& stop, ProcessGroup& group) {
  auto n = static_cast<int64_t>(held_out_.pairs.size());
  if (options_.held_out_pairs > 0) n = std::min(n, options_.held_out_pairs);
  if (n == 0) return Metrics{};
  const at::NoGradGuard no_grad;
  Sums sums;
  const auto measure = [&](RankShare part) { return add(network, held_out_, numbers_in(part), /*share=*/0, sums); };
  PHIAL_TRY(const bool is_done, in_step(group, stop, n, options_.rows, measure));
  if (!is_done) return Metrics{};
  PHIAL_CHECKED(sums.sum(group));
  Metrics metrics = sums.metrics("held_out_");
  metrics.insert(metrics.begin(), {"held_out_loss", sums.loss / sums.pairs});
  if (reference_) metrics.emplace_back("held_out_kl", sums.divergence / std::max(1.0, sums.targets));
  return metrics;
}

}  // namespace phial::train
