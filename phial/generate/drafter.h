// Guesses how a sequence of tokens goes on. The model checks a whole guess in one pass, so a right one saves steps; a
// wrong one never changes what is generated.
#pragma once

#include <cstdint>
#include <span>
#include <stop_token>
#include <vector>

#include "phial/base/result.h"

namespace phial::generate {

inline constexpr int kMostEvidence = 8;

class Drafter {
 public:
  virtual ~Drafter() = default;

  // How well a guess at what follows `sequence` would be founded: 0 for none, at most kMostEvidence; guesses of equal
  // evidence fare alike.
  virtual int look(std::span<const int32_t> sequence) = 0;

  // At most `most` tokens that may follow the sequence that look() saw last, with evidence above 0. kCancelled; other
  // errors are those of a model that drafts.
  virtual Result<std::vector<int32_t>> draft(std::span<const int32_t> sequence, int most,
                                             const std::stop_token& cancel) = 0;
};

}  // namespace phial::generate
