#include "phial/model/kv_cache.h"

#include <algorithm>
#include <string>

#include "phial/kernels/kernels.h"
#include "phial/model/kv_access.h"

namespace phial::model {
namespace {

int ring_for(const spec::DecoderSpec& spec, int capacity) {
  if (spec.sliding_window == 0) return capacity;
  const int64_t needed = int64_t{spec.sliding_window} + kPrefillChunk;
  return static_cast<int>(std::min<int64_t>(needed, capacity));
}

}  // namespace

const char* name_of(KvType type) {
  switch (type) {
    case KvType::kF32:
      return "f32";
    case KvType::kF16:
      return "f16";
    case KvType::kQ8:
      return "q8";
    case KvType::kQ4:
      return "q4";
  }
  return "";
}

size_t row_bytes(KvType type, int head_dim) {
  const auto columns = static_cast<size_t>(head_dim);
  const size_t blocks = (columns + kernels::kBlock - 1) / kernels::kBlock;
  switch (type) {
    case KvType::kF32:
      return columns * sizeof(float);
    case KvType::kF16:
      return columns * sizeof(uint16_t);
    case KvType::kQ8:
      return blocks * sizeof(kernels::KvQ8);
    case KvType::kQ4:
      return blocks * sizeof(kernels::KvQ4);
  }
  return 0;
}

uint64_t KvCache::bytes_for(const spec::DecoderSpec& spec, int capacity_tokens, KvType type) {
  return uint64_t{2} * row_bytes(type, spec.head_dim) * static_cast<uint64_t>(spec.n_layers) *
         static_cast<uint64_t>(spec.n_kv_heads) * static_cast<uint64_t>(ring_for(spec, capacity_tokens));
}

Result<KvCache> KvCache::make(const spec::DecoderSpec& spec, int capacity_tokens, KvType type) {
  if (capacity_tokens < 1) {
    return Error{Code::kOutOfRange, "a cache for " + std::to_string(capacity_tokens) + " tokens, wanted at least 1",
                 "ask for a longer --context"};
  }
  KvCache cache;
  cache.capacity_ = capacity_tokens;
  cache.window_ = spec.sliding_window;
  cache.ring_ = ring_for(spec, capacity_tokens);
  cache.n_layers_ = spec.n_layers;
  cache.n_kv_heads_ = spec.n_kv_heads;
  cache.head_dim_ = spec.head_dim;
  cache.type_ = type;
  const uint64_t bytes = bytes_for(spec, capacity_tokens, type) / 2;
  PHIAL_TRY(cache.keys_, AlignedBytes::make(bytes, "the key cache"));
  PHIAL_TRY(cache.values_, AlignedBytes::make(bytes, "the value cache"));
  return cache;
}

void KvCache::truncate(int length) {
  if (length >= length_) return;
  length = std::max(length, 0);
  // The next query sees positions from length - window + 1 on; all of them must still be in the ring.
  const int oldest_kept = longest_ - ring_;
  const int oldest_needed = window_ == 0 ? 0 : std::max(0, length - window_ + 1);
  if (length == 0 || oldest_needed < oldest_kept) {
    length_ = 0;
    longest_ = 0;
    return;
  }
  length_ = length;
}

}  // namespace phial::model
