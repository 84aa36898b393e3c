// The hash that a library knows bytes by: XXH3 with 128 bits, in its canonical order. Threads: one.
#pragma once

#include <xxhash.h>

#include <cstddef>
#include <memory>
#include <span>

#include "phial/rag/store.h"

namespace phial::rag {

class ContentHasher {
 public:
  ContentHasher() { XXH3_128bits_reset(state_.get()); }

  void add(std::span<const std::byte> bytes) { XXH3_128bits_update(state_.get(), bytes.data(), bytes.size()); }

  ContentHash hash() const {
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(state_.get()));
    return ContentHash(reinterpret_cast<const char*>(canonical.digest), sizeof canonical.digest);
  }

 private:
  std::unique_ptr<XXH3_state_t, XXH_errorcode (*)(XXH3_state_t*)> state_{XXH3_createState(), XXH3_freeState};
};

}  // namespace phial::rag
