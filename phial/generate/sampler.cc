#include "phial/generate/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>

namespace phial::generate {
namespace {

constexpr size_t kPenaltyWindow = 64;

// What is no number (a damaged model's logits) is never likely.
float comparable(float logit) { return std::isnan(logit) ? -std::numeric_limits<float>::infinity() : logit; }

int32_t largest(std::span<const float> logits) {
  const auto less = [](float a, float b) { return comparable(a) < comparable(b); };
  return static_cast<int32_t>(std::max_element(logits.begin(), logits.end(), less) - logits.begin());
}

Error out_of_place(const char* option, double found, const char* wanted) {
  return Error{Code::kInvalid, std::string(option) + " is " + std::to_string(found),
               std::string("it must be ") + wanted};
}

// log(sum(exp(logits))), summed in double: a vocabulary has a hundred thousand terms.
double log_sum_exp(std::span<const float> logits) {
  const float highest = logits[static_cast<size_t>(largest(logits))];
  double sum = 0;
  for (const float logit : logits) sum += std::exp(static_cast<double>(logit - highest));
  return highest + std::log(sum);
}

}  // namespace

Status validate(const SamplingOptions& options) {
  if (!(options.temperature >= 0) || !std::isfinite(options.temperature)) {
    return out_of_place("temperature", options.temperature, "0 or more");
  }
  if (options.top_k < 0) return out_of_place("top-k", options.top_k, "0 (off) or more");
  if (!(options.top_p > 0 && options.top_p <= 1)) return out_of_place("top-p", options.top_p, "above 0 and at most 1");
  if (!(options.min_p >= 0 && options.min_p <= 1)) return out_of_place("min-p", options.min_p, "between 0 and 1");
  if (!(options.repeat_penalty > 0) || !std::isfinite(options.repeat_penalty)) {
    return out_of_place("repeat-penalty", options.repeat_penalty, "above 0");
  }
  return ok();
}

int32_t Sampler::sample(std::span<const float> logits, std::span<const int32_t> history) {
  if (options_.repeat_penalty != 1) {
    penalised_.assign(logits.begin(), logits.end());
    auto recent = history.last(std::min(history.size(), kPenaltyWindow));
    std::vector<int32_t> distinct(recent.begin(), recent.end());
    std::sort(distinct.begin(), distinct.end());
    distinct.erase(std::unique(distinct.begin(), distinct.end()), distinct.end());
    for (const int32_t id : distinct) {
      if (id < 0 || static_cast<size_t>(id) >= penalised_.size()) continue;
      float& logit = penalised_[static_cast<size_t>(id)];
      logit = logit > 0 ? logit / options_.repeat_penalty : logit * options_.repeat_penalty;
    }
    logits = penalised_;
  }
  if (options_.temperature == 0) return largest(logits);

  candidates_.clear();
  for (size_t id = 0; id < logits.size(); ++id) {
    const float logit = logits[id] / options_.temperature;
    if (std::isfinite(logit)) candidates_.push_back({static_cast<int32_t>(id), logit, 0});
  }
  if (candidates_.empty()) return largest(logits);
  keep_candidates();
  const double total = std::accumulate(candidates_.begin(), candidates_.end(), 0.0,
                                       [](double sum, const Candidate& c) { return sum + c.weight; });
  double left = random_.uniform() * total;
  for (const Candidate& candidate : candidates_) {
    left -= candidate.weight;
    if (left < 0) return candidate.id;
  }
  return candidates_.front().id;  // rounding only: the most likely one
}

void Sampler::keep_candidates() {
  const auto more_likely = [](const Candidate& a, const Candidate& b) {
    return a.logit != b.logit ? a.logit > b.logit : a.id < b.id;
  };
  const auto top_k = static_cast<size_t>(options_.top_k);
  if (top_k > 0 && top_k < candidates_.size()) {
    std::nth_element(candidates_.begin(), candidates_.begin() + options_.top_k, candidates_.end(), more_likely);
    candidates_.resize(top_k);
  }
  std::sort(candidates_.begin(), candidates_.end(), more_likely);

  double total = 0;
  for (Candidate& c : candidates_) total += c.weight = std::exp(c.logit - candidates_.front().logit);
  if (options_.top_p < 1) {
    double mass = 0;
    size_t kept = 0;
    while (kept < candidates_.size() && mass < options_.top_p * total) mass += candidates_[kept++].weight;
    candidates_.resize(std::max<size_t>(kept, 1));
  }
  // Weights are relative to the most likely token, whose weight is 1.
  std::erase_if(candidates_, [&](const Candidate& c) { return c.weight < options_.min_p; });
}

float logprob_of(std::span<const float> logits, int32_t id) {
  return static_cast<float>(logits[static_cast<size_t>(id)] - log_sum_exp(logits));
}

TokenLogprob logprobs_of(std::span<const float> logits, int32_t id, int n_best) {
  const double normaliser = log_sum_exp(logits);
  const auto logprob = [&](int32_t token) {
    return static_cast<float>(logits[static_cast<size_t>(token)] - normaliser);
  };
  TokenLogprob result{id, logprob(id), {}};
  std::vector<int32_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  const size_t kept = std::min(order.size(), static_cast<size_t>(std::max(n_best, 0)));
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(kept), order.end(),
                    [&](int32_t a, int32_t b) {
                      const float x = comparable(logits[static_cast<size_t>(a)]);
                      const float y = comparable(logits[static_cast<size_t>(b)]);
                      return x != y ? x > y : a < b;
                    });
  for (size_t i = 0; i < kept; ++i) result.best.emplace_back(order[i], logprob(order[i]));
  return result;
}

}  // namespace phial::generate
