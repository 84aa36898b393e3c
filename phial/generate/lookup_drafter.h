// Drafts what followed the last time: answers from documents repeat their passages, the question and themselves.
//
// The end of the sequence is looked up in everything before it, as LZ77 looks up what it has compressed already; the
// longest earlier occurrence wins, of equally long ones the latest. Its evidence is the length of that match in tokens.
// Source: prompt lookup decoding, docs/sources.md.
// Memory: 8 bytes a token and a map of the distinct pairs. Time: constant for each new token and each guess.
// Threads: one at a time.
#pragma once

#include <unordered_map>

#include "phial/generate/drafter.h"

namespace phial::generate {

// For one sequence that grows: each call's begins with that of the call before.
class LookupDrafter final : public Drafter {
 public:
  int look(std::span<const int32_t> sequence) override;
  // Goes on in what it has drafted where it reaches the sequence's end.
  Result<std::vector<int32_t>> draft(std::span<const int32_t> sequence, int most,
                                     const std::stop_token& cancel) override;

 private:
  void index(std::span<const int32_t> sequence);

  // A pair of tokens: where its latest occurrence ends; and for each end of one, where the same pair ended before.
  std::unordered_map<uint64_t, size_t> latest_;
  std::vector<size_t> earlier_;
  size_t match_end_ = 0;
};

}  // namespace phial::generate
