// Sequences that were computed before, kept so that one that begins like them computes only what is new.
//
// What a sequence shares with others stands in the same pages once. Threads: one at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <optional>
#include <span>
#include <vector>

#include "phial/model/kv_cache.h"
#include "phial/spec/spec.h"

namespace phial::generate {

// Tokens and the cache of their keys and values.
struct CachedSequence {
  std::vector<int32_t> ids;  // cache.length() of them
  spec::RopeTable table = spec::RopeTable::kShort;
  model::KvCache cache;

  // Forgets all but the first `tokens`, and those too where a sliding window has passed them.
  void truncate(size_t tokens);
};

// Tokens that `a` and `b` begin with in common.
size_t common_tokens(std::span<const int32_t> a, std::span<const int32_t> b);

class PrefixCache {
 public:
  // The longest beginning of `ids` that is kept with the same rotary factors; nullopt if none has more than `known`.
  std::optional<CachedSequence> find(std::span<const int32_t> ids, spec::RopeTable table, size_t known);
  // Keeps a sequence, in place of those that are its beginning; nothing new if it is the beginning of another.
  void keep(CachedSequence sequence);
  const std::list<CachedSequence>& sequences() const { return sequences_; }  // used last first
  // Whether a file that held all when set_saved() was called lacks one.
  bool has_unsaved() const { return has_unsaved_; }
  void set_saved() { has_unsaved_ = false; }
  // Forgets what was used longest ago until at most `bytes` are kept, pages that several share counted for each.
  void shrink(uint64_t bytes);

 private:
  std::list<CachedSequence> sequences_;  // used last first
  bool has_unsaved_ = false;
};

}  // namespace phial::generate
