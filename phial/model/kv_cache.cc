#include "phial/model/kv_cache.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "phial/kernels/kernels.h"
#include "phial/model/kv_access.h"
#include "phial/model/size.h"

namespace phial::model {
namespace {

// Positions behind the window that stay, so that a wrong draft can be taken back (at most a step's rows).
constexpr int kKeptBehind = kPageTokens;

size_t page_bytes_for(const spec::DecoderSpec& spec, KvType type) {
  return 2 * size(kPageTokens) * row_bytes(type, spec.head_dim);
}

// Pages that a head of a full cache holds at most.
size_t most_pages(const spec::DecoderSpec& spec, int capacity) {
  const size_t all = pages_for(capacity);
  if (spec.sliding_window == 0) return all;
  // The window and what is kept behind it begin anywhere in a page; so does a chunk's end.
  const int64_t held = int64_t{spec.sliding_window} + kKeptBehind + kPrefillChunk + 2 * (kPageTokens - 1);
  return std::min(all, static_cast<size_t>(held / kPageTokens));
}

bool is_needed(const spec::BlockSparseLists& lists, int kv_head, int page, int position) {
  const int64_t first = int64_t{page} * kPageTokens;
  return lists.is_needed(kv_head, first, first + kPageTokens - 1, position);
}

int first_near(const spec::BlockSparseLists& lists, int position) {
  return lists.first_local(position / lists.pattern().block) * lists.pattern().block;
}

// Pages that all key-value heads of a block-sparse layer hold at most.
size_t most_sparse_pages(const spec::DecoderSpec& spec, int capacity) {
  const spec::BlockSparseLists lists(spec.block_sparse, spec.n_heads, spec.n_kv_heads, capacity);
  // Held when a chunk has come after pages were given back for the query at `position`.
  const auto held = [&](int position) {
    const int length = std::min(capacity, position + kKeptBehind + kPrefillChunk);
    const int judged = first_near(lists, position) / kPageTokens;
    size_t pages = size(spec.n_kv_heads) * (pages_for(length) - size(judged));
    for (int head = 0; head < spec.n_kv_heads; ++head) {
      for (int page = 0; page < judged; ++page) pages += is_needed(lists, head, page, position) ? 1 : 0;
    }
    return pages;
  };
  // The most is held at the end, or just before the last block was judged.
  const int last = std::max(0, capacity - kPrefillChunk - kKeptBehind), block = spec.block_sparse.block;
  return std::max(held(last), held(std::max(0, last / block * block - 1)));
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
  uint64_t sparse_layers = 0;
  for (int layer = 0; layer < spec.n_layers; ++layer) sparse_layers += spec.block_sparse.is_sparse(layer) ? 1 : 0;
  const uint64_t dense_layers = size(spec.n_layers) - sparse_layers;
  uint64_t pages = dense_layers * size(spec.n_kv_heads) * most_pages(spec, capacity_tokens);
  if (sparse_layers > 0 && capacity_tokens > 0) pages += sparse_layers * most_sparse_pages(spec, capacity_tokens);
  return page_bytes_for(spec, type) * pages;
}

Result<KvCache> KvCache::make(const spec::DecoderSpec& spec, int capacity_tokens, KvType type) {
  if (capacity_tokens < 1) {
    return Error{Code::kOutOfRange, "a cache for " + std::to_string(capacity_tokens) + " tokens, wanted at least 1",
                 "ask for a longer --context"};
  }
  KvCache cache;
  cache.capacity_ = capacity_tokens;
  cache.window_ = spec.sliding_window;
  if (spec.block_sparse.active()) {
    cache.lists_ = std::make_shared<const spec::BlockSparseLists>(spec.block_sparse, spec.n_heads, spec.n_kv_heads,
                                                                  capacity_tokens);
  }
  cache.n_layers_ = spec.n_layers;
  cache.n_kv_heads_ = spec.n_kv_heads;
  cache.head_dim_ = spec.head_dim;
  cache.type_ = type;
  cache.tables_.resize(size(spec.n_layers) * size(spec.n_kv_heads));
  cache.pages_ = std::make_shared<KvPages>(page_bytes_for(spec, type), cache.tables_.size());
  return cache;
}

int KvCache::first_seen(int position) const {
  if (lists_ != nullptr) return first_near(*lists_, position);
  return window_ == 0 ? 0 : std::max(0, position - window_ + 1);
}

uint64_t KvCache::bytes() const {
  uint64_t held = 0;
  for (const auto& table : tables_) held += table.size() - size(std::ranges::count(table, nullptr));
  return held * pages_->page_bytes();
}

void KvCache::give_back(int position) {
  const int gone_before = first_seen(position) / kPageTokens * kPageTokens;
  if (gone_before <= kept_from_) return;
  for (int head = 0; head < n_layers_ * n_kv_heads_; ++head) {
    if (lists_ != nullptr && !lists_->pattern().is_sparse(head / n_kv_heads_)) continue;
    for (int page = kept_from_ / kPageTokens; page < gone_before / kPageTokens; ++page) {
      if (lists_ != nullptr && is_needed(*lists_, head % n_kv_heads_, page, position)) continue;
      tables_[size(head)][size(page)] = nullptr;
    }
  }
  kept_from_ = gone_before;
}

void KvCache::truncate(int length) {
  if (length >= length_) return;
  length = std::max(length, 0);
  if (first_seen(length) < kept_from_) length = 0;
  if (length == 0) kept_from_ = 0;
  for (auto& table : tables_) table.resize(std::min(table.size(), pages_for(length)));
  length_ = length;
}

KvCache KvCache::fork(int length) const {
  KvCache copy = *this;
  copy.truncate(length);
  return copy;
}

Status KvAccess::reserve(int tokens) {
  const size_t pages = pages_for(cache_->length_ + tokens);
  const size_t first_written = size(cache_->length_ / kPageTokens);
  for (auto& table : cache_->tables_) {
    for (size_t p = first_written; p < table.size(); ++p) {
      if (table[p].use_count() == 1) continue;
      PHIAL_TRY(KvPage own, cache_->pages_->take());
      std::memcpy(own.get(), table[p].get(), cache_->pages_->page_bytes());
      table[p] = std::move(own);
    }
    while (table.size() < pages) {
      PHIAL_TRY(KvPage page, cache_->pages_->take());
      table.push_back(std::move(page));
    }
  }
  return ok();
}

void KvAccess::advance(int tokens) {
  cache_->length_ += tokens;
  cache_->give_back(std::max(0, cache_->length_ - kKeptBehind));
}

}  // namespace phial::model
