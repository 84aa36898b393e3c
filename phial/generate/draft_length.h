// How many drafted tokens are worth checking: as many as give the most tokens a second.
//
// With a share p of right ones, each counted as long as those before it were right, k drafted tokens give
// 1 + p + ... + p^k tokens in the time of 1 + r(k) steps without a draft. p is what drafts of the same evidence
// (drafter.h) have shown lately. r, what k rows more cost, has the shape that was measured once (draft_length.cc, by
// phial_model_bench) and is scaled to what the steps of this model on this machine take. What is generated depends on
// none of it.
// Source: the rule for the length in speculative decoding, docs/sources.md. Threads: one at a time.
#pragma once

#include <array>

#include "phial/generate/drafter.h"

namespace phial::generate {

inline constexpr int kMostDrafted = 15;  // with the last token 16 rows

class DraftLength {
 public:
  // 0: drafts of this evidence cost more than they give.
  int best(int evidence) const;

  // Of a draft's tokens, whether checked or not, the first `right` came, and then, if `one_wrong`, another one.
  void saw(int evidence, int right, bool one_wrong);
  // A step that computed one token and `drafted` more took so long.
  void took(int drafted, double milliseconds);

 private:
  // How many times a step without a draft `drafted` more rows take.
  double cost(int drafted) const;

  double step_ms_ = 0;    // without a draft; 0: not known yet
  double row_scale_ = 1;  // of r
  // At first: about what real answers show (docs/decisions/0007-drafting.md).
  std::array<double, kMostEvidence + 1> share_right_ = {0, 0.7, 0.4, 0.5, 0.7, 0.8, 0.8, 0.85, 0.9};
};

}  // namespace phial::generate
