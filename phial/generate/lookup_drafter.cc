#include "phial/generate/lookup_drafter.h"

namespace phial::generate {
namespace {

constexpr size_t kPair = 2;         // a shorter match says nothing
constexpr size_t kCandidates = 16;  // earlier places that are looked at
constexpr size_t kNone = SIZE_MAX;

uint64_t pair_that_ends(std::span<const int32_t> sequence, size_t end) {
  return uint64_t{static_cast<uint32_t>(sequence[end - 2])} << 32 | static_cast<uint32_t>(sequence[end - 1]);
}

// How many tokens before `end` are those before the sequence's end; more than kMostEvidence is as good as that.
int match_length(std::span<const int32_t> sequence, size_t end) {
  size_t length = 0;
  while (length < kMostEvidence && length < end &&
         sequence[end - 1 - length] == sequence[sequence.size() - 1 - length]) {
    ++length;
  }
  return static_cast<int>(length);
}

}  // namespace

// All pairs but the last one, which is what will be looked up.
void LookupDrafter::index(std::span<const int32_t> sequence) {
  for (size_t end = earlier_.size(); end < sequence.size(); ++end) {
    earlier_.push_back(kNone);
    if (end < kPair) continue;
    const auto [latest, is_new] = latest_.try_emplace(pair_that_ends(sequence, end), end);
    if (is_new) continue;
    earlier_[end] = latest->second;
    latest->second = end;
  }
}

int LookupDrafter::look(std::span<const int32_t> sequence) {
  index(sequence);
  if (sequence.size() < kPair) return 0;
  const auto found = latest_.find(pair_that_ends(sequence, sequence.size()));
  if (found == latest_.end()) return 0;
  int longest = 0;
  size_t end = found->second;
  for (size_t looked = 0; end != kNone && looked < kCandidates && longest < kMostEvidence; ++looked) {
    const int length = match_length(sequence, end);
    if (length > longest) {
      longest = length;
      match_end_ = end;
    }
    end = earlier_[end];
  }
  return longest;
}

Result<std::vector<int32_t>> LookupDrafter::draft(std::span<const int32_t> sequence, int most, const std::stop_token&) {
  std::vector<int32_t> ids;
  for (size_t i = 0; i < static_cast<size_t>(most); ++i) {
    const size_t from = match_end_ + i;
    const int32_t id = from < sequence.size() ? sequence[from] : ids[from - sequence.size()];
    if (id < 0) break;  // a picture, which nobody writes
    ids.push_back(id);
  }
  return ids;
}

}  // namespace phial::generate
