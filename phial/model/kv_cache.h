// Keys and values of one conversation, for every layer.
//
// Shapes: keys and values of a layer are [n_kv_heads, ring, head_dim]; keys are stored after rotation. Position p
// stands at entry p modulo ring. Without a sliding window the ring is the capacity; with one it is as many entries as a
// query may see plus a prefill chunk, which is exact. Element type: f32 (exact), or f16, q8, q4 (fast): blocks of 32
// columns that share an f16 scale, q4 an f16 minimum as well; the last block of a head is padded. Memory is taken from
// the machine as positions are filled. Threads: one at a time. Source: docs/decisions/0005-kv-cache.md.
#pragma once

#include <cstddef>
#include <cstdint>

#include "phial/base/result.h"
#include "phial/model/aligned_bytes.h"
#include "phial/spec/spec.h"

namespace phial::model {

enum class KvType { kF32, kF16, kQ8, kQ4 };  // from large to small

const char* name_of(KvType type);  // "f32", "f16", "q8", "q4"
// One position of one head, of keys or of values.
size_t row_bytes(KvType type, int head_dim);

class KvCache {
 public:
  // kOutOfRange if capacity_tokens < 1 or the memory cannot be had.
  static Result<KvCache> make(const spec::DecoderSpec& spec, int capacity_tokens, KvType type);

  // What make() would take when filled.
  static uint64_t bytes_for(const spec::DecoderSpec& spec, int capacity_tokens, KvType type);

  int length() const { return length_; }
  int capacity() const { return capacity_; }
  KvType type() const { return type_; }
  uint64_t bytes() const { return keys_.size() + values_.size(); }

  // Forgets positions >= `length`. With a sliding window older entries may be gone: then the cache empties and length()
  // is 0 afterwards.
  void truncate(int length);

 private:
  friend class KvAccess;  // model's own access: kv_access.h
  int length_ = 0;
  int longest_ = 0;  // length before truncation: entries older than longest_ - ring_ are overwritten
  int capacity_ = 0;
  int window_ = 0;
  int ring_ = 0;
  int n_layers_ = 0, n_kv_heads_ = 0, head_dim_ = 0;
  KvType type_ = KvType::kF16;
  AlignedBytes keys_, values_;
};

}  // namespace phial::model
