#include "phial/generate/speculation.h"

#include <algorithm>
#include <chrono>

namespace phial::generate {

Result<std::vector<int32_t>> Speculation::draft(std::span<const int32_t> sequence, int room,
                                                const std::stop_token& cancel) {
  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  known_ = sequence.size();
  proposed_.clear();
  checked_ = 0;
  if (room <= 0) return std::vector<int32_t>();
  evidence_ = drafter_.look(sequence);
  if (evidence_ == 0) return std::vector<int32_t>();
  const int wanted = std::min(room, fixed_length_ > 0 ? fixed_length_ : length_.best(evidence_));
  // One token is proposed also where none is worth checking: it shows when drafting would pay again.
  PHIAL_TRY(proposed_, drafter_.draft(sequence, std::max(wanted, 1), cancel));
  checked_ = std::min(wanted, static_cast<int>(proposed_.size()));
  draft_ms_ = std::chrono::duration<double, std::milli>(Clock::now() - start).count();
  return std::vector<int32_t>(proposed_.begin(), proposed_.begin() + checked_);
}

void Speculation::learn(std::span<const int32_t> sequence, double pass_ms) {
  const auto came = sequence.subspan(known_);
  const size_t seen = std::min(came.size(), proposed_.size());
  size_t right = 0;
  while (right < seen && came[right] == proposed_[right]) ++right;
  if (seen > 0) length_.saw(evidence_, static_cast<int>(right), right < seen);
  length_.took(checked_, checked_ > 0 ? draft_ms_ + pass_ms : pass_ms);
  drafted_ += checked_;
  accepted_ += std::min(checked_, static_cast<int>(right));
}

}  // namespace phial::generate
