// How many drafted tokens are worth checking: as many as give the most tokens a second.
//
// With a share p of right ones, each counted as long as those before it were right, k drafted tokens give
// 1 + p + ... + p^k tokens a step, in 1 + k c times the time of a step without a draft. p is what drafts of the same
// evidence (drafter.h) have shown lately; c, what a row costs beside a step of its own, is what the steps of this model
// on this machine have taken lately. What is generated depends on neither.
// Source: the rule for the length in speculative decoding, docs/sources.md. Threads: one at a time.
#pragma once

#include <array>

#include "phial/generate/drafter.h"

namespace phial::generate {

inline constexpr int kMostDrafted = 15;  // with the last token the 16 rows that kernels take as few

class DraftLength {
 public:
  // 0: drafts of this evidence cost more than they give.
  int best(int evidence) const;

  // Of a draft's tokens, whether checked or not, the first `right` came, and then `one_wrong` did not.
  void saw(int evidence, int right, bool one_wrong);
  // A step that computed one token and `drafted` more took so long.
  void took(int drafted, double milliseconds);

 private:
  double step_ms_ = 0;      // without a draft; 0: not known yet
  double row_cost_ = 0.15;  // c
  std::array<double, kMostEvidence + 1> share_right_ = {0, 0.7, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.9};
};

}  // namespace phial::generate
