// Memory for keys and values in pages, which caches take, share and give back.
//
// A page holds kPageTokens positions of one key-value head of one layer. Pages of all heads are alike, so what one
// cache gives back serves any other. Memory is taken from the machine in slabs as pages are wanted, and kept until the
// last page is gone. Threads: one at a time, for all caches that share them. Used inside model only. Source:
// PagedAttention (arXiv 2309.06180); docs/decisions/0009-kv-pages.md.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "phial/base/result.h"
#include "phial/model/aligned_bytes.h"

namespace phial::model {

inline constexpr int kPageTokens = 64;

inline size_t pages_for(int tokens) { return static_cast<size_t>((tokens + kPageTokens - 1) / kPageTokens); }

// Whoever holds it owns the page, alone or with others; the last one gives it back.
using KvPage = std::shared_ptr<std::byte>;

class KvPages : public std::enable_shared_from_this<KvPages> {
 public:
  // Memory comes in slabs of `pages_a_slab`.
  KvPages(size_t page_bytes, size_t pages_a_slab) : page_bytes_(page_bytes), pages_a_slab_(pages_a_slab) {}

  // A free page; what is in it is left over from others. kOutOfMemory if the machine has no room.
  Result<KvPage> take();

  size_t page_bytes() const { return page_bytes_; }

 private:
  size_t page_bytes_, pages_a_slab_;
  std::vector<AlignedBytes> slabs_;
  std::vector<std::byte*> free_;
};

}  // namespace phial::model
