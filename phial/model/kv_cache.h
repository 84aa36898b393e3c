// Keys and values of one conversation, for every layer.
//
// Positions stand in pages of kPageTokens for each layer and key-value head (kv_pages.h): keys [kPageTokens, head_dim],
// stored after rotation, then values. Several caches may share the pages of a common beginning. With a sliding window,
// pages that no query will see again are given back; in block-sparse layers, those of a key-value head that none of its
// query heads will. Element type: f32 (exact), or f16, q8, q4 (fast): blocks of 32 columns that share an f16 scale, q4
// an f16 minimum as well; the last block of a head is padded. Threads: one at a time, for all caches that share pages.
// Source: docs/decisions/0005-kv-cache.md, 0009-kv-pages.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "phial/base/result.h"
#include "phial/model/kv_pages.h"
#include "phial/spec/spec.h"

namespace phial::model {

enum class KvType { kF32, kF16, kQ8, kQ4 };  // from large to small

const char* name_of(KvType type);  // "f32", "f16", "q8", "q4"
// One position of one head, of keys or of values.
size_t row_bytes(KvType type, int head_dim);

class KvCache {
 public:
  // kOutOfRange if capacity_tokens < 1.
  static Result<KvCache> make(const spec::DecoderSpec& spec, int capacity_tokens, KvType type);

  // What a full cache holds at most.
  static uint64_t bytes_for(const spec::DecoderSpec& spec, int capacity_tokens, KvType type);

  KvCache(KvCache&&) = default;
  KvCache& operator=(KvCache&&) = default;

  int length() const { return length_; }
  int capacity() const { return capacity_; }
  KvType type() const { return type_; }
  // Of the pages it holds now, shared ones too.
  uint64_t bytes() const;

  // Forgets positions >= `length`. With a sliding window or block-sparse layers older entries may be gone: then the
  // cache empties and length() is 0 afterwards.
  void truncate(int length);

  // A cache that begins like this one: it holds what truncate(length) would leave, in the same pages; a page that
  // either writes to becomes its own first.
  KvCache fork(int length) const;

 private:
  friend class KvAccess;  // model's own access: kv_access.h
  friend class KvFile;    // kv_file.h
  KvCache() = default;
  KvCache(const KvCache&) = default;
  // The first position that a query at `position` sees; in block-sparse layers, of the near ones.
  int first_seen(int position) const;
  // Gives back what no query at `position` or behind it sees.
  void give_back(int position);

  int length_ = 0;
  int kept_from_ = 0;  // positions before it may be gone
  int capacity_ = 0;
  int window_ = 0;
  std::shared_ptr<const spec::BlockSparseLists> lists_;  // null: no layer is sparse
  int n_layers_ = 0, n_kv_heads_ = 0, head_dim_ = 0;
  KvType type_ = KvType::kF16;
  std::shared_ptr<KvPages> pages_;
  std::vector<std::vector<KvPage>> tables_;  // [n_layers * n_kv_heads][page]; null: given back
};

}  // namespace phial::model
