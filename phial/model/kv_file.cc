#include "phial/model/kv_file.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "phial/base/append_bytes.h"
#include "phial/kernels/kernels.h"
#include "phial/model/size.h"

namespace phial::model {
namespace {

constexpr uint32_t kNoPage = UINT32_MAX;  // given back

Error damaged_cache(const std::string& what) { return Error{Code::kCorrupt, "it " + what, "delete it"}; }

// A page with the rows that are filled, into `copy`; what others left in it stays here.
void copy_filled_rows(std::span<const std::byte> page, int rows, std::vector<std::byte>& copy) {
  copy.assign(page.size(), std::byte{0});
  const size_t half = page.size() / 2, filled = half / kPageTokens * size(rows);
  std::memcpy(copy.data(), page.data(), filled);
  std::memcpy(copy.data() + half, page.data() + half, filled);
}

}  // namespace

struct KvFile::Shape {
  uint32_t page_tokens = kPageTokens;
  uint32_t type = 0;
  uint32_t n_layers = 0, n_kv_heads = 0, head_dim = 0, window = 0;
  std::array<uint32_t, 5> pattern{};  // of block-sparse layers

  bool operator==(const Shape&) const = default;
};

// One cache, as the file has it.
struct KvFile::Stored {
  int length = 0, kept_from = 0;
  std::vector<std::vector<uint32_t>> tables;
};

std::string_view KvFile::instruction_set() { return kernels::active().name; }

KvFile::Shape KvFile::shape_of(const KvCache& cache) {
  const auto number = [](int n) { return static_cast<uint32_t>(n); };
  Shape shape = {.type = static_cast<uint32_t>(cache.type_),
                 .n_layers = number(cache.n_layers_),
                 .n_kv_heads = number(cache.n_kv_heads_),
                 .head_dim = number(cache.head_dim_),
                 .window = number(cache.window_)};
  if (cache.lists_ != nullptr) {
    const spec::BlockSparse& pattern = cache.lists_->pattern();
    shape.pattern = {number(pattern.block), number(pattern.local_blocks), number(pattern.stride),
                     number(pattern.dense_every), pattern.same_for_heads ? 1U : 0U};
  }
  return shape;
}

Status KvFile::write(const KvCache& like, std::span<const KvCache* const> caches, const ByteSink& sink) {
  struct Page {
    const std::byte* bytes = nullptr;
    int rows = 0;  // filled, by whichever cache reaches furthest
  };
  std::vector<Page> pages;
  std::unordered_map<const std::byte*, uint32_t> numbers;
  std::vector<std::byte> tables;
  for (const KvCache* cache : caches) {
    append_bytes(tables, static_cast<uint32_t>(cache->length_));
    append_bytes(tables, static_cast<uint32_t>(cache->kept_from_));
    for (const auto& table : cache->tables_) {
      for (size_t p = 0; p < pages_for(cache->length_); ++p) {
        const std::byte* bytes = table[p].get();
        if (bytes == nullptr) {
          append_bytes(tables, kNoPage);
          continue;
        }
        const auto [at, is_new] = numbers.try_emplace(bytes, static_cast<uint32_t>(pages.size()));
        if (is_new) pages.push_back({.bytes = bytes});
        Page& page = pages[at->second];
        page.rows = std::max(page.rows, std::min(kPageTokens, cache->length_ - static_cast<int>(p) * kPageTokens));
        append_bytes(tables, at->second);
      }
    }
  }
  std::vector<std::byte> head;
  append_bytes(head, shape_of(like));
  append_bytes(head, static_cast<uint32_t>(caches.size()));
  append_bytes(head, static_cast<uint64_t>(pages.size()));
  append_bytes(head, std::span<const std::byte>(tables));
  PHIAL_CHECKED(sink(head));
  std::vector<std::byte> copy;
  for (const Page& page : pages) {
    std::span<const std::byte> whole(page.bytes, like.pages_->page_bytes());
    if (page.rows < kPageTokens) {
      copy_filled_rows(whole, page.rows, copy);
      whole = copy;
    }
    PHIAL_CHECKED(sink(whole));
  }
  return ok();
}

bool KvFile::may_lack(const KvCache& cache, size_t head, int page, int kept_from) {
  if (page >= kept_from / kPageTokens) return false;
  if (cache.lists_ == nullptr) return true;  // behind the window
  const int layer = static_cast<int>(head) / cache.n_kv_heads_, kv_head = static_cast<int>(head) % cache.n_kv_heads_;
  if (!cache.lists_->pattern().is_sparse(layer)) return false;
  // For the first query that sees nothing near before kept_from; those behind it see no more.
  const int first = page * kPageTokens;
  const int64_t query = kept_from + cache.lists_->pattern().dense_tokens();
  return !cache.lists_->is_needed(kv_head, first, first + kPageTokens - 1, query);
}

Result<KvFile::Stored> KvFile::read_stored(Reader& in, const KvCache& like) {
  Stored stored;
  PHIAL_TRY(const uint32_t length, in.u32());
  PHIAL_TRY(const uint32_t kept_from, in.u32());
  if (length == 0 || length > uint32_t{std::numeric_limits<int>::max()} - kPageTokens || kept_from > length) {
    return damaged_cache("holds a sequence of " + std::to_string(length) + " positions kept from " +
                         std::to_string(kept_from));
  }
  stored.length = static_cast<int>(length);
  stored.kept_from = static_cast<int>(kept_from);
  const size_t pages = pages_for(stored.length);
  for (size_t head = 0; head < like.tables_.size(); ++head) {
    PHIAL_TRY(const auto bytes, in.take(uint64_t{pages} * sizeof(uint32_t)));
    std::memcpy(stored.tables.emplace_back(pages).data(), bytes.data(), bytes.size());
  }
  return stored;
}

Status KvFile::check(const KvCache& like, const Stored& stored) {
  if (stored.kept_from % kPageTokens != 0 || like.first_seen(stored.length) < stored.kept_from) {
    return damaged_cache("keeps positions from " + std::to_string(stored.kept_from) + " on, " +
                         std::to_string(stored.length) + " in all");
  }
  for (size_t head = 0; head < stored.tables.size(); ++head) {
    const auto& table = stored.tables[head];
    for (size_t p = 0; p < table.size(); ++p) {
      if (table[p] == kNoPage && !may_lack(like, head, static_cast<int>(p), stored.kept_from)) {
        return damaged_cache("lacks keys and values that are still seen");
      }
    }
  }
  return ok();
}

Result<std::vector<std::optional<KvCache>>> KvFile::read(Reader& in, const KvCache& like, uint64_t most_bytes) {
  PHIAL_TRY(const Shape shape, in.read<Shape>());
  if (shape != shape_of(like)) {
    return Error{Code::kInvalid, "it holds keys and values of another model or type (--kv, --precision)",
                 "name another file, or delete this one"};
  }
  PHIAL_TRY(const uint32_t n_caches, in.u32());
  PHIAL_TRY(const uint64_t n_stored_pages, in.u64());
  std::vector<Stored> all;
  for (uint32_t i = 0; i < n_caches; ++i) {
    PHIAL_TRY(Stored stored, read_stored(in, like));
    all.push_back(std::move(stored));
  }
  const size_t page_bytes = like.pages_->page_bytes();
  uint64_t bytes = 0;
  if (!multiply_fits(n_stored_pages, page_bytes, &bytes)) return damaged_cache("promises too many pages");
  PHIAL_TRY(const auto stored_pages, in.take(bytes));

  std::vector<KvPage> pages(static_cast<size_t>(n_stored_pages));
  std::vector<std::optional<KvCache>> caches(all.size());
  uint64_t held = 0;
  for (size_t i = 0; i < all.size(); ++i) {
    const Stored& stored = all[i];
    if (stored.length > like.capacity_) continue;
    PHIAL_CHECKED(check(like, stored));
    for (const auto& table : stored.tables)
      held += (table.size() - static_cast<size_t>(std::ranges::count(table, kNoPage))) * page_bytes;
    if (held > most_bytes) break;
    KvCache cache = like.fork(0);
    cache.length_ = stored.length;
    cache.kept_from_ = stored.kept_from;
    for (size_t head = 0; head < stored.tables.size(); ++head) {
      for (const uint32_t number : stored.tables[head]) {
        KvPage page;
        if (number != kNoPage) {
          if (number >= n_stored_pages) return damaged_cache("names a page that it does not hold");
          if (pages[number] == nullptr) {
            PHIAL_TRY(pages[number], like.pages_->take());
            std::memcpy(pages[number].get(), stored_pages.data() + number * page_bytes, page_bytes);
          }
          page = pages[number];
        }
        cache.tables_[head].push_back(std::move(page));
      }
    }
    caches[i] = std::move(cache);
  }
  return caches;
}

}  // namespace phial::model
