// Sequences that were computed, with their keys and values, in a file: prompts that begin like them need not be
// computed again by the next process either.
//
// Layout: docs/formats.md, "Prompt caches". A file serves the one model that wrote it, and the one type of keys and
// values. Threads: as PrefixCache.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <list>
#include <span>
#include <vector>

#include "phial/base/result.h"
#include "phial/formats/checkpoint.h"
#include "phial/generate/prefix_cache.h"
#include "phial/model/kv_cache.h"

namespace phial::generate {

// Of all bytes of a checkpoint's files, its metadata and the instruction set that runs: keys and values are taken from
// whoever has the same number. For a checkpoint whose tensors are not held.
uint64_t model_hash(const formats::Checkpoint& checkpoint);

// In place of what stands at `path` (replace_private_file: it tells what was said). Left out is what stands behind a
// picture, whose ids mean nothing to another process. `like`: a cache of the model's decoder. kInvalid if something
// else or another model's stands there.
Status write_prompt_file(const std::filesystem::path& path, uint64_t hash, const std::list<CachedSequence>& sequences,
                         const model::KvCache& like);

// Nothing if there is no file or an empty one; what is longer than `like` may become is left out, and what would take
// more than `most_bytes`. Errors name the file: kInvalid for a
// file of something else or of another model, kCorrupt, kUnsupported for another version, kOutOfMemory.
Result<std::vector<CachedSequence>> read_prompt_file(const std::filesystem::path& path, uint64_t hash,
                                                     const model::KvCache& like, uint64_t most_bytes);

// The part of a file behind its checksum's check.
Result<std::vector<CachedSequence>> parse_prompts(std::span<const std::byte> bytes, uint64_t hash,
                                                  const model::KvCache& like, uint64_t most_bytes);

}  // namespace phial::generate
