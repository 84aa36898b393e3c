#include "phial/model/kv_pages.h"

#include <utility>

namespace phial::model {

Result<KvPage> KvPages::take() {
  if (free_.empty()) {
    PHIAL_TRY(AlignedBytes slab, AlignedBytes::make(uint64_t{page_bytes_} * pages_a_slab_,
                                                    "the cache of keys and values", AlignedBytes::Pages::kHuge));
    slabs_.reserve(slabs_.size() + 1);
    free_.reserve((slabs_.size() + 1) * pages_a_slab_);  // so that giving a page back never allocates
    for (size_t i = pages_a_slab_; i-- > 0;) free_.push_back(slab.data() + i * page_bytes_);
    slabs_.push_back(std::move(slab));
  }
  std::byte* page = free_.back();
  free_.pop_back();
  return KvPage(page, [pages = shared_from_this()](std::byte* free) { pages->free_.push_back(free); });
}

}  // namespace phial::model
