// Keys and values of one conversation, for every layer.
//
// Shapes: keys and values of a layer are [positions, n_kv_heads, head_dim]; keys are stored after rotation. With a
// sliding window the positions are a ring of as many entries as a query may see (plus a prefill chunk), which is exact.
// Element type: f32 (exact) or f16 (fast). Threads: one at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "phial/base/result.h"
#include "phial/spec/spec.h"

namespace phial::model {

enum class KvType { kF32, kF16 };

class KvCache {
 public:
  // kOutOfRange if capacity_tokens < 1 or the memory cannot be had.
  static Result<KvCache> make(const spec::DecoderSpec& spec, int capacity_tokens, KvType type);

  int length() const { return length_; }
  int capacity() const { return capacity_; }
  uint64_t bytes() const;

  // Forgets positions >= `length`. With a sliding window older entries may be gone: then the cache empties and length()
  // is 0 afterwards.
  void truncate(int length);

 private:
  friend class KvAccess;  // model's own access: see attention
  int length_ = 0;
  int capacity_ = 0;
  int ring_ = 0;  // positions held a layer
  int n_layers_ = 0;
  size_t position_elements_ = 0;  // n_kv_heads * head_dim
  KvType type_ = KvType::kF16;
  std::vector<std::byte> keys_, values_;
};

}  // namespace phial::model
