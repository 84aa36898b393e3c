// How the decoder reads and writes a KvCache. Used inside model only.
#pragma once

#include <algorithm>
#include <cstddef>

#include "phial/model/kv_cache.h"

namespace phial::model {

// Positions that one pass of the decoder appends at most; a ring has room for them beside the window.
inline constexpr int kPrefillChunk = 256;

class KvAccess {
 public:
  explicit KvAccess(KvCache& cache) : cache_(cache) {}

  KvType type() const { return cache_.type_; }
  int ring() const { return cache_.ring_; }

  // Entry 0 of a head; entries lie row_bytes() apart.
  std::byte* keys(int layer, int kv_head) { return cache_.keys_.data() + offset(layer, kv_head); }
  std::byte* values(int layer, int kv_head) { return cache_.values_.data() + offset(layer, kv_head); }

  size_t row_bytes() const { return model::row_bytes(cache_.type_, cache_.head_dim_); }

  void advance(int tokens) {
    cache_.length_ += tokens;
    cache_.longest_ = std::max(cache_.longest_, cache_.length_);
  }

  bool fits(const spec::DecoderSpec& spec) const {
    return cache_.n_layers_ == spec.n_layers && cache_.n_kv_heads_ == spec.n_kv_heads &&
           cache_.head_dim_ == spec.head_dim && cache_.window_ == spec.sliding_window;
  }

 private:
  size_t offset(int layer, int kv_head) const {
    const auto head =
        static_cast<size_t>(layer) * static_cast<size_t>(cache_.n_kv_heads_) + static_cast<size_t>(kv_head);
    return head * static_cast<size_t>(cache_.ring_) * row_bytes();
  }

  KvCache& cache_;
};

}  // namespace phial::model
