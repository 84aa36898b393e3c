// Drafting while one answer is written: asks the drafter, cuts what it proposes to the length that pays, and learns
// from what came instead.
//
// Each step: draft(), one pass of the model over the last token and the draft, then learn(). Threads: one at a time.
// Source: speculative decoding, docs/sources.md. A drafted token is taken if the sampler, drawing as it would without a
// draft, chooses it: so the result is that of plain decoding, token by token, not only in distribution.
#pragma once

#include "phial/generate/draft_length.h"
#include "phial/generate/drafter.h"

namespace phial::generate {

class Speculation {
 public:
  // `fixed_length`: if not 0, that many tokens whatever they gain.
  Speculation(Drafter& drafter, DraftLength& length, int fixed_length)
      : drafter_(drafter), length_(length), fixed_length_(fixed_length) {}

  // What to check together with the last token of `sequence`: at most `room` tokens.
  Result<std::vector<int32_t>> draft(std::span<const int32_t> sequence, int room, const std::stop_token& cancel);

  // `sequence`: that of draft(), gone on by what was generated since. `pass_ms`: what the model's pass took.
  void learn(std::span<const int32_t> sequence, double pass_ms);

  int drafted() const { return drafted_; }    // tokens that the model checked
  int accepted() const { return accepted_; }  // of those, what became part of the answer

 private:
  Drafter& drafter_;
  DraftLength& length_;
  int fixed_length_;
  std::vector<int32_t> proposed_;
  int evidence_ = 0;     // of the proposed ones
  int checked_ = 0;      // of the proposed ones
  size_t known_ = 0;     // tokens before the proposed ones
  double draft_ms_ = 0;  // what proposing took
  int drafted_ = 0, accepted_ = 0;
};

}  // namespace phial::generate
