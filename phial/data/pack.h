// Documents to token shards: the last step before training.
//
// A document's ids are its text's, never those of special tokens that it spells; the vocabulary's first token goes
// before them where the model's prompts begin with one, its end-of-text token behind. The order is that of the inputs.
// Threads: the pool tokenizes; what is written does not depend on it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <stop_token>

#include "phial/base/result.h"
#include "phial/base/thread_pool.h"
#include "phial/tokenizer/tokenizer.h"

namespace phial::data {

struct PackOptions {
  uint64_t shard_tokens = uint64_t{1} << 27;  // a shard ends with the document that reaches it
  double held_out = 0;                        // share of the documents, 0 to below 1, that go to the folder held_out
};

struct PackedPart {
  uint64_t documents = 0, tokens = 0, shards = 0;
};

struct PackReport {
  PackedPart train, held_out;
  uint64_t text_bytes = 0;
};

struct PackProgress {
  uint64_t bytes_read = 0, bytes = 0;  // of all inputs
  uint64_t tokens = 0;
};

// Writes `out`/train/00000.tokens and on, and with held_out `out`/held_out/ beside it; a document's text alone decides
// in which it goes, so copies never stand in both. Nothing but the whole folder ever stands at `out`.
// Errors: kInvalid if `out` is there or the vocabulary has no end-of-text token, kNotFound, kIo, kCorrupt (a line that
// is no document), kCancelled.
Result<PackReport> pack(std::span<const std::filesystem::path> inputs, const tokenizer::Tokenizer& tokenizer,
                        const std::filesystem::path& out, const PackOptions& options, ThreadPool& pool,
                        const std::stop_token& stop, const std::function<void(const PackProgress&)>& on_progress);

}  // namespace phial::data
