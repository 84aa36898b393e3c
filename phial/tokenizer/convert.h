// A tokenizer from one way of keeping it to the other: GGUF's metadata, or the files of a Hugging Face folder.
//
// Errors: as in load.h; kUnsupported names what the other side cannot express.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "phial/base/json.h"
#include "phial/base/result.h"

namespace phial::tokenizer {

// The "tokenizer.*" entries of a GGUF file with a token for each of `n_rows` embedding rows; "no_vocab" for a folder
// without a tokenizer.
Result<Json> gguf_entries(const std::filesystem::path& folder, size_t n_rows);

struct FolderFile {
  std::string name, content;
};

// The files of a folder for the tokenizer in a GGUF's metadata; none if it has none. BPE only: a vocabulary of
// SentencePiece becomes tokenizer.model, a byte-level one tokenizer.json.
Result<std::vector<FolderFile>> folder_files(const Json& metadata);

}  // namespace phial::tokenizer
