// Caches of keys and values as bytes of a file, and back. A page that several caches share stands there once.
//
// Layout: docs/formats.md, "Prompt caches". Bytes that are read are not trusted: whatever they say, the caches made of
// them keep KvCache's promises. Threads: one at a time, for all caches that share pages.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "phial/base/bytes.h"
#include "phial/base/result.h"
#include "phial/model/kv_cache.h"

namespace phial::model {

// Takes bytes in the order in which a file has them.
using ByteSink = std::function<Status(std::span<const std::byte>)>;

class KvFile {
 public:
  // That computes keys and values here: those of another may differ in bits.
  static std::string_view instruction_set();

  // `like`: a cache of the same decoder. Errors: those of `sink`.
  static Status write(const KvCache& like, std::span<const KvCache* const> caches, const ByteSink& sink);

  // The caches in order, in pages beside those of `like`. nullopt for one that is longer than `like` may become, and
  // for those that would make more than `most_bytes` with those before. kInvalid for caches of another shape or type,
  // kCorrupt, kOutOfMemory.
  static Result<std::vector<std::optional<KvCache>>> read(Reader& in, const KvCache& like, uint64_t most_bytes);

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
