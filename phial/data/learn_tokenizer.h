// A vocabulary learned of documents: byte-level BPE with the markers of Phi-3's chats, as a Hugging Face folder has it.
//
// Writes tokenizer.json and tokenizer_config.json (with Phi-3's chat template). The special tokens have the first ids:
// <|endoftext|>, <|system|>, <|user|>, <|assistant|>, <|end|>. Threads: one.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <stop_token>
#include <string_view>

#include "phial/base/result.h"

namespace phial::data {

struct LearnedTokenizer {
  size_t vocab_size = 0;  // at most what was asked for
  uint64_t text_bytes = 0;
};

// Called with what is going on ("reading", "learning"), how much is done, and of how much.
using LearningProgress = std::function<void(std::string_view what, uint64_t done, uint64_t of)>;

// Nothing but the whole folder ever stands at `out`. Errors: kInvalid if `out` is there, if there is no text, or for a
// vocabulary too small for the bytes; kNotFound, kIo, kCorrupt (a line that is no document), kCancelled.
Result<LearnedTokenizer> learn_tokenizer(std::span<const std::filesystem::path> inputs, size_t vocab_size,
                                         const std::filesystem::path& out, const std::stop_token& stop,
                                         const LearningProgress& on_progress);

}  // namespace phial::data
