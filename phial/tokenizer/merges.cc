#include "phial/tokenizer/merges.h"

#include <algorithm>
#include <bit>
#include <queue>

namespace phial::tokenizer {
namespace {

// Up to this many symbols, finding the best pair by looking at all of them beats a queue; nearly every word is shorter.
constexpr size_t kScanLimit = 40;

uint64_t key_of(TokenId left, TokenId right) {
  return (static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32) | static_cast<uint32_t>(right);
}

size_t slot_of(uint64_t key, size_t mask) {
  key *= 0x9E3779B97F4A7C15ULL;
  return static_cast<size_t>(key ^ (key >> 32)) & mask;
}

}  // namespace

MergeTable::MergeTable(size_t expected_pairs) : slots_(std::bit_ceil(std::max<size_t>(expected_pairs * 2, 16))) {}

void MergeTable::grow() {
  std::vector<Slot> old(slots_.size() * 2);
  old.swap(slots_);
  size_ = 0;
  for (const Slot& slot : old) {
    if (slot.key == kEmpty) continue;
    add(static_cast<TokenId>(slot.key >> 32), static_cast<TokenId>(slot.key & UINT32_MAX), slot.merge);
  }
}

void MergeTable::add(TokenId left, TokenId right, Merge merge) {
  if ((size_ + 1) * 2 > slots_.size()) grow();
  const uint64_t key = key_of(left, right);
  const size_t mask = slots_.size() - 1;
  size_t at = slot_of(key, mask);
  while (slots_[at].key != kEmpty) {
    if (slots_[at].key == key) return;
    at = (at + 1) & mask;
  }
  slots_[at] = {key, merge};
  ++size_;
}

MergeTable::Merge MergeTable::find(TokenId left, TokenId right) const {
  if ((left | right) < 0) return {};
  const uint64_t key = key_of(left, right);
  const size_t mask = slots_.size() - 1;
  for (size_t at = slot_of(key, mask); slots_[at].key != kEmpty; at = (at + 1) & mask) {
    if (slots_[at].key == key) return slots_[at].merge;
  }
  return {};
}

void MergeTable::apply(std::vector<TokenId>& symbols) const {
  if (symbols.size() < 2) return;
  if (symbols.size() <= kScanLimit) {
    apply_by_scanning(symbols);
  } else {
    apply_by_queue(symbols);
  }
}

void MergeTable::apply_by_scanning(std::vector<TokenId>& symbols) const {
  Merge merges[kScanLimit];  // merges[i]: of symbols i and i + 1
  size_t n = symbols.size();
  for (size_t i = 0; i + 1 < n; ++i) merges[i] = find(symbols[i], symbols[i + 1]);
  while (n > 1) {
    size_t best = 0;
    for (size_t i = 1; i + 1 < n; ++i) {
      if (merges[i].rank < merges[best].rank) best = i;
    }
    if (merges[best].rank == kNever) break;
    symbols[best] = merges[best].merged;
    std::copy(symbols.begin() + static_cast<ptrdiff_t>(best) + 2, symbols.begin() + static_cast<ptrdiff_t>(n),
              symbols.begin() + static_cast<ptrdiff_t>(best) + 1);
    if (best + 2 < n) std::copy(merges + best + 1, merges + n - 1, merges + best);
    --n;
    if (best + 1 < n) merges[best] = find(symbols[best], symbols[best + 1]);
    if (best > 0) merges[best - 1] = find(symbols[best - 1], symbols[best]);
  }
  symbols.resize(n);
}

void MergeTable::apply_by_queue(std::vector<TokenId>& symbols) const {
  // Symbols form a linked list over their first positions. A queued pair that has since lost one of its symbols is
  // recognised by its rank and result no longer being those of what stands there.
  struct Candidate {
    uint32_t rank;
    uint32_t position;
    TokenId merged;
    bool operator>(const Candidate& other) const {
      return rank != other.rank ? rank > other.rank : position > other.position;
    }
  };
  constexpr uint32_t kNone = UINT32_MAX;
  constexpr TokenId kGone = -2;
  const auto n = static_cast<uint32_t>(symbols.size());
  std::vector<uint32_t> next(n);
  std::vector<uint32_t> previous(n);
  std::vector<Candidate> start;
  for (uint32_t i = 0; i < n; ++i) {
    next[i] = i + 1 < n ? i + 1 : kNone;
    previous[i] = i > 0 ? i - 1 : kNone;
    if (i + 1 < n) {
      const Merge merge = find(symbols[i], symbols[i + 1]);
      if (merge.rank != kNever) start.push_back({merge.rank, i, merge.merged});
    }
  }
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> queue(std::greater<>{}, std::move(start));
  const auto consider = [&](uint32_t at) {
    const Merge merge = find(symbols[at], symbols[next[at]]);
    if (merge.rank != kNever) queue.push({merge.rank, at, merge.merged});
  };
  while (!queue.empty()) {
    const Candidate best = queue.top();
    queue.pop();
    const uint32_t right = next[best.position];
    if (symbols[best.position] == kGone || right == kNone) continue;
    const Merge merge = find(symbols[best.position], symbols[right]);
    if (merge.rank != best.rank || merge.merged != best.merged) continue;
    symbols[best.position] = merge.merged;
    symbols[right] = kGone;
    next[best.position] = next[right];
    if (next[right] != kNone) {
      previous[next[right]] = best.position;
      consider(best.position);
    }
    if (previous[best.position] != kNone) consider(previous[best.position]);
  }
  std::erase(symbols, kGone);
}

}  // namespace phial::tokenizer
