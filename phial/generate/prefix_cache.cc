#include "phial/generate/prefix_cache.h"

#include <algorithm>
#include <utility>

namespace phial::generate {

void CachedSequence::truncate(size_t tokens) {
  cache.truncate(static_cast<int>(tokens));
  ids.resize(static_cast<size_t>(cache.length()));
}

size_t common_tokens(std::span<const int32_t> a, std::span<const int32_t> b) {
  return static_cast<size_t>(std::ranges::mismatch(a, b).in1 - a.begin());
}

std::optional<CachedSequence> PrefixCache::find(std::span<const int32_t> ids, spec::RopeTable table, size_t known) {
  auto best = sequences_.end();
  size_t most = known;
  for (auto it = sequences_.begin(); it != sequences_.end(); ++it) {
    const size_t common = common_tokens(it->ids, ids);
    if (it->table == table && common > most) {
      best = it;
      most = common;
    }
  }
  if (best == sequences_.end()) return std::nullopt;
  if (most == best->ids.size()) {  // what it goes on to will be kept in its place
    std::optional<CachedSequence> whole = std::move(*best);
    sequences_.erase(best);
    return whole;
  }
  sequences_.splice(sequences_.begin(), sequences_, best);
  CachedSequence beginning = {.ids = best->ids, .table = table, .cache = best->cache.fork(static_cast<int>(most))};
  beginning.ids.resize(static_cast<size_t>(beginning.cache.length()));
  if (beginning.ids.empty()) return std::nullopt;
  return beginning;
}

void PrefixCache::keep(CachedSequence sequence) {
  if (sequence.ids.empty()) return;
  const auto longer = std::ranges::find_if(sequences_, [&](const CachedSequence& kept) {
    return kept.table == sequence.table && common_tokens(kept.ids, sequence.ids) == sequence.ids.size();
  });
  if (longer != sequences_.end()) return sequences_.splice(sequences_.begin(), sequences_, longer);
  std::erase_if(sequences_, [&](const CachedSequence& kept) {
    return kept.table == sequence.table && common_tokens(kept.ids, sequence.ids) == kept.ids.size();
  });
  sequences_.push_front(std::move(sequence));
  has_unsaved_ = true;
}

void PrefixCache::shrink(uint64_t bytes) {
  uint64_t kept = 0;
  for (auto it = sequences_.begin(); it != sequences_.end();) {
    kept += it->cache.bytes();
    it = kept > bytes ? sequences_.erase(it) : std::next(it);
  }
}

}  // namespace phial::generate
