#include "phial/train/cross_entropy.h"

#include <gtest/gtest.h>

#include "phial/train/batch.h"

namespace phial::train {
namespace {

struct Problem {
  at::Tensor hidden, head, targets;
};

Problem problem() {
  at::manual_seed(3);
  Problem p = {at::randn({37, 12}).requires_grad_(), at::randn({29, 12}).requires_grad_(),
               at::randint(0, 26, {37}, at::kLong)};
  p.targets.index_fill_(0, at::tensor({3, 4, 36}, at::kLong), kIgnored);
  return p;
}

// The same from torch's own operations, with all logits at once.
at::Tensor whole(const Problem& p, const CrossEntropyOptions& options) {
  at::Tensor logits = at::mm(p.hidden, p.head.t()) / options.logit_divisor;
  if (!options.masked_ids.empty()) {
    logits = logits.index_fill(1, at::tensor(options.masked_ids, at::kLong), -INFINITY);
  }
  const at::Tensor nll = at::cross_entropy_loss(logits, p.targets, {}, at::Reduction::Sum, kIgnored);
  return nll + options.z_loss * (logits.logsumexp(1).square() * p.targets.ne(kIgnored)).sum();
}

TEST(CrossEntropy, IsTorchsOwnWithGradientsWhateverTheChunks) {
  for (const CrossEntropyOptions& plain :
       {CrossEntropyOptions{}, CrossEntropyOptions{.logit_divisor = 8, .z_loss = 0.02, .masked_ids = {26, 28}}}) {
    const Problem wanted = problem();
    at::Tensor reference = whole(wanted, plain);
    (reference * 0.3).backward();
    for (const int64_t rows : {0, 1, 5, 36, 37, 100}) {
      const Problem p = problem();
      CrossEntropyOptions options = plain;
      options.chunk_rows = rows;
      const CrossEntropy found = cross_entropy(p.hidden, p.head, p.targets, options);
      EXPECT_NEAR(found.objective.item<float>(), reference.item<float>(), 1e-4F);
      EXPECT_NEAR((found.nll + found.z).item<double>(), reference.item<double>(), 1e-4);
      (found.objective * 0.3).backward();
      EXPECT_LE((p.hidden.grad() - wanted.hidden.grad()).abs().max().item<float>(), 1e-5F) << rows;
      EXPECT_LE((p.head.grad() - wanted.head.grad()).abs().max().item<float>(), 1e-5F) << rows;
    }
  }
}

TEST(CrossEntropy, RowsThatDoNotCountHaveNoGradient) {
  const Problem p = problem();
  cross_entropy(p.hidden, p.head, p.targets, {.z_loss = 0.1}).objective.backward();
  EXPECT_EQ(p.hidden.grad()[36].abs().max().item<float>(), 0);
  EXPECT_GT(p.hidden.grad()[35].abs().max().item<float>(), 0);
}

TEST(CrossEntropy, WeightsMultiplyEachTargetsShareOfSumAndGradients) {
  const Problem wanted = problem();
  const at::Tensor weights = at::linspace(-1, 2, 37);
  const at::Tensor nll =
      at::cross_entropy_loss(at::mm(wanted.hidden, wanted.head.t()), wanted.targets, {}, at::Reduction::None, kIgnored);
  const at::Tensor reference = (nll * weights).sum();
  reference.backward();
  for (const int64_t rows : {0, 5}) {
    const Problem p = problem();
    const CrossEntropy found = cross_entropy(p.hidden, p.head, p.targets, {.weights = weights, .chunk_rows = rows});
    EXPECT_NEAR(found.nll.item<double>(), reference.item<double>(), 1e-4);
    found.objective.backward();
    EXPECT_LE((p.hidden.grad() - wanted.hidden.grad()).abs().max().item<float>(), 1e-5F);
    EXPECT_LE((p.head.grad() - wanted.head.grad()).abs().max().item<float>(), 1e-5F);
  }
}

TEST(CrossEntropy, AHeadThatIsNotTrainedGetsNoGradient) {
  Problem p = problem();
  p.head = p.head.detach();
  cross_entropy(p.hidden, p.head, p.targets, {}).objective.backward();
  EXPECT_GT(p.hidden.grad().abs().max().item<float>(), 0);
  EXPECT_FALSE(p.head.grad().defined());
}

TEST(CrossEntropy, LogProbabilitiesOfTargetsAreTorchs) {
  const Problem p = problem();
  const CrossEntropyOptions options = {.logit_divisor = 2, .masked_ids = {26, 28}, .chunk_rows = 4};
  at::Tensor logits = at::mm(p.hidden, p.head.t()) / 2;
  logits = logits.index_fill(1, at::tensor({26, 28}, at::kLong), -INFINITY);
  const at::Tensor wanted = -at::cross_entropy_loss(logits, p.targets, {}, at::Reduction::None, kIgnored);
  const at::Tensor found = target_log_probabilities(p.hidden, p.head, p.targets, options);
  EXPECT_FALSE(found.requires_grad());
  EXPECT_LE((found - wanted).abs().max().item<float>(), 1e-5F);
  EXPECT_EQ(found[36].item<float>(), 0);
}

}  // namespace
}  // namespace phial::train
