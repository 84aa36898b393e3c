#include "phial/tokenizer/word_cache.h"

#include <cstring>

namespace phial::tokenizer {
namespace {

constexpr size_t kLongestWord = 96;             // bytes; longer ones rarely repeat
constexpr size_t kMostWords = size_t{1} << 18;  // bounds the memory to about 20 MB
constexpr size_t kLongestProbe = 16;            // words chosen to collide cost a lookup, not a search through them all

uint32_t hash_of(std::string_view word) {
  uint64_t hash = 0x9E3779B97F4A7C15ULL ^ word.size();
  size_t at = 0;
  for (; at + 8 <= word.size(); at += 8) {
    uint64_t eight = 0;
    std::memcpy(&eight, word.data() + at, 8);
    hash = (hash ^ eight) * 0xBF58476D1CE4E5B9ULL;
    hash ^= hash >> 29;
  }
  uint64_t rest = 0;
  std::memcpy(&rest, word.data() + at, word.size() - at);
  hash = (hash ^ rest) * 0x94D049BB133111EBULL;
  return static_cast<uint32_t>(hash ^ (hash >> 32));
}

}  // namespace

bool WordCache::append(std::string_view word, std::vector<TokenId>& ids) const {
  if (slots_.empty() || word.empty() || word.size() > kLongestWord) return false;
  const uint32_t hash = hash_of(word);
  const size_t mask = slots_.size() - 1;
  for (size_t probe = 0; probe < kLongestProbe; ++probe) {
    const Slot& slot = slots_[(hash + probe) & mask];
    if (slot.key_length == 0) return false;
    if (slot.hash != hash || slot.key_length != word.size()) continue;
    if (std::memcmp(keys_.data() + slot.key_at, word.data(), word.size()) != 0) continue;
    const auto first = ids_.begin() + slot.ids_at;
    if (slot.n_ids == 1) {
      ids.push_back(*first);
    } else {
      ids.insert(ids.end(), first, first + slot.n_ids);
    }
    return true;
  }
  return false;
}

void WordCache::remember(std::string_view word, const std::vector<TokenId>& ids, size_t from) {
  if (word.empty() || word.size() > kLongestWord || size_ >= kMostWords || ids.size() - from > UINT16_MAX) return;
  if ((size_ + 1) * 2 > slots_.size()) grow();
  const uint32_t hash = hash_of(word);
  const size_t mask = slots_.size() - 1;
  for (size_t probe = 0; probe < kLongestProbe; ++probe) {
    Slot& slot = slots_[(hash + probe) & mask];
    if (slot.key_length != 0) continue;
    slot = {hash, static_cast<uint32_t>(keys_.size()), static_cast<uint32_t>(ids_.size()),
            static_cast<uint16_t>(ids.size() - from), static_cast<uint16_t>(word.size())};
    keys_.append(word);
    ids_.insert(ids_.end(), ids.begin() + static_cast<ptrdiff_t>(from), ids.end());
    ++size_;
    return;
  }
}

void WordCache::grow() {
  std::vector<Slot> old(slots_.empty() ? 64 : slots_.size() * 2);
  old.swap(slots_);
  const size_t mask = slots_.size() - 1;
  for (const Slot& slot : old) {
    if (slot.key_length == 0) continue;
    size_t probe = 0;
    while (probe < kLongestProbe && slots_[(slot.hash + probe) & mask].key_length != 0) ++probe;
    if (probe < kLongestProbe) slots_[(slot.hash + probe) & mask] = slot;
  }
}

}  // namespace phial::tokenizer
