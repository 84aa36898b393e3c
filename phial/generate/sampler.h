// Chooses the next token from logits.
//
// Order: repetition penalty (over the last 64 tokens: logits > 0 are divided by it, others multiplied; CTRL, arXiv
// 1909.05858), temperature, top-k, top-p (nucleus, arXiv 1904.09751), min-p (arXiv 2407.01082), then one draw. With
// temperature 0 the largest logit wins; ties go to the lowest id. Logprobs are those of the raw logits, before any of
// this.
// Threads: one at a time.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "phial/base/random.h"
#include "phial/base/result.h"
#include "phial/generate/language_model.h"

namespace phial::generate {

// kInvalid names the first option that makes no sense (a negative temperature, top_p above 1, ...).
Status validate(const SamplingOptions& options);

class Sampler {
 public:
  // Promise: validate(options) is ok.
  explicit Sampler(const SamplingOptions& options) : options_(options), random_(options.seed) {}

  // logits: [V]; what is not finite is never drawn while something is. `history`: all tokens so far, oldest first.
  int32_t sample(std::span<const float> logits, std::span<const int32_t> history);

 private:
  struct Candidate {
    int32_t id;
    float logit;  // after penalty and temperature
    float weight;
  };
  void keep_candidates();  // top-k, top-p, min-p

  SamplingOptions options_;
  Random random_;
  std::vector<float> penalised_;
  std::vector<Candidate> candidates_;
};

// The natural logarithm of the softmax of `logits` at `id`.
float logprob_of(std::span<const float> logits, int32_t id);

// `id` and the `n_best` most likely tokens, ties by lowest id.
TokenLogprob logprobs_of(std::span<const float> logits, int32_t id, int n_best);

}  // namespace phial::generate
