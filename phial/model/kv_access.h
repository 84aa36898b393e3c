// How the decoder reads and writes a KvCache. Used inside model only.
#pragma once

#include <cstddef>

#include "phial/base/result.h"
#include "phial/model/kv_cache.h"

namespace phial::model {

// Positions that one pass of the decoder appends at most.
inline constexpr int kPrefillChunk = 256;

class KvAccess {
 public:
  explicit KvAccess(KvCache& cache) : cache_(&cache) {}

  KvType type() const { return cache_->type_; }
  int length() const { return cache_->length_; }
  size_t row_bytes() const { return model::row_bytes(cache_->type_, cache_->head_dim_); }

  // The row of a position that is kept; those of its page follow and precede it, row_bytes() apart.
  std::byte* key(int layer, int kv_head, int position) const { return row(layer, kv_head, position); }
  std::byte* value(int layer, int kv_head, int position) const {
    return row(layer, kv_head, position) + static_cast<size_t>(kPageTokens) * row_bytes();
  }

  // Makes room for `tokens` positions more, in pages that no other cache reads. What stands is unchanged; kOutOfRange
  // if the machine has no room.
  Status reserve(int tokens);
  // They are filled now, in every layer. Gives back what no query will see again. tokens <= kPrefillChunk.
  void advance(int tokens);

  bool fits(const spec::DecoderSpec& spec) const {
    return cache_->n_layers_ == spec.n_layers && cache_->n_kv_heads_ == spec.n_kv_heads &&
           cache_->head_dim_ == spec.head_dim && cache_->window_ == spec.sliding_window && has_pattern_of(spec);
  }

 private:
  bool has_pattern_of(const spec::DecoderSpec& spec) const {
    return cache_->lists_ ? cache_->lists_->pattern() == spec.block_sparse : !spec.block_sparse.active();
  }
  std::byte* row(int layer, int kv_head, int position) const {
    const auto head =
        static_cast<size_t>(layer) * static_cast<size_t>(cache_->n_kv_heads_) + static_cast<size_t>(kv_head);
    const auto page = static_cast<size_t>(position / kPageTokens), slot = static_cast<size_t>(position % kPageTokens);
    return cache_->tables_[head][page].get() + slot * row_bytes();
  }

  KvCache* cache_;
};

}  // namespace phial::model
