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

// Of all that a checkpoint says: two with the same number are taken for the same model. Reads every weight once.
Result<uint64_t> model_hash(const formats::Checkpoint& checkpoint);

// In place of what stands at `path`: whatever goes wrong, the old file or the new one stands there whole. Left out is
// what stands behind a picture, whose ids mean nothing to another process. `like`: a cache of the model's decoder.
Status write_prompt_file(const std::filesystem::path& path, uint64_t hash, const std::list<CachedSequence>& sequences,
                         const model::KvCache& like);

// Nothing if there is no file; what is longer than `like` may become is left out. Errors name the file: kInvalid for a
// file of something else or of another model, kCorrupt, kUnsupported for another version, kOutOfMemory.
Result<std::vector<CachedSequence>> read_prompt_file(const std::filesystem::path& path, uint64_t hash,
                                                     const model::KvCache& like);

// The part of a file behind its checksum's check.
Result<std::vector<CachedSequence>> parse_prompts(std::span<const std::byte> bytes, uint64_t hash,
                                                  const model::KvCache& like);

}  // namespace phial::generate
