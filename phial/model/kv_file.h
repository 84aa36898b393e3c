// Caches of keys and values as bytes of a file, and back. A page that several caches share stands there once.
//
// Layout: docs/formats.md, "Prompt caches". Bytes that are read are not trusted: whatever they say, the caches made of
// them keep KvCache's promises. Threads: one at a time, for all caches that share pages.
#pragma once

#include <cstddef>
#include <deque>
#include <optional>
#include <span>
#include <vector>

#include "phial/base/bytes.h"
#include "phial/base/result.h"
#include "phial/model/kv_cache.h"

namespace phial::model {

// Bytes that follow each other in a file, where they stand.
struct FileParts {
  std::vector<std::span<const std::byte>> parts;
  std::deque<std::vector<std::byte>> owned;  // that some of them stand in

  void add(std::vector<std::byte> bytes) { parts.emplace_back(owned.emplace_back(std::move(bytes))); }
};

class KvFile {
 public:
  // `like`: a cache of the same decoder. The parts live as long as the caches, and until one of them changes.
  static void append(const KvCache& like, std::span<const KvCache* const> caches, FileParts& to);

  // The caches in order, in pages beside those of `like`; nullopt for one that is longer than `like` may become.
  // kInvalid for caches of another shape or type, kCorrupt, kOutOfMemory.
  static Result<std::vector<std::optional<KvCache>>> read(Reader& in, const KvCache& like);

 private:
  struct Shape;
  struct Stored;
  static Shape shape_of(const KvCache& cache);
  static Result<Stored> read_stored(Reader& in, const KvCache& like);
  static Status check(const KvCache& like, const Stored& stored);
  // Whether the page may be missing from a cache that keeps all from `kept_from` on.
  static bool may_lack(const KvCache& cache, size_t head, int page, int kept_from);
};

}  // namespace phial::model
