// The front door for tokenizers on disk: from a GGUF file's metadata, a Hugging Face folder, or one file's bytes.
//
// Everything a file says is checked before it is used. Errors: kNotFound (a folder without a tokenizer), kCorrupt (ids,
// sizes or references that cannot be), kUnsupported (by the name of what is not done). A message is one line and names
// what was found and what was wanted.
#pragma once

#include <filesystem>
#include <memory>
#include <string_view>

#include "phial/base/json.h"
#include "phial/base/result.h"
#include "phial/tokenizer/tokenizer.h"

namespace phial::tokenizer {

// `metadata`: a GGUF's key-value pairs as one flat object, arrays included (formats::Checkpoint::metadata()).
// tokenizer.ggml.model may be llama (SentencePiece), gpt2 (byte-level BPE) or bert (WordPiece).
Result<std::unique_ptr<Tokenizer>> from_gguf(const Json& metadata);

}  // namespace phial::tokenizer
