// SentencePiece's own file (tokenizer.model) as what it holds, without an algorithm on top. Used inside tokenizer only.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "phial/base/result.h"
#include "phial/tokenizer/load.h"
#include "phial/tokenizer/vocabulary.h"

namespace phial::tokenizer {

struct SentencePieceFile {
  enum Type : uint64_t { kUnigram = 1, kBpe = 2 };

  Vocabulary vocabulary;
  std::vector<float> scores;
  uint64_t type = kUnigram;
  bool suffix_marks = false, add_prefix = true, remove_extra = true, escape = true;
  int64_t bos = 1, eos = 2;
  std::string_view charsmap;
};

// The pieces and every token that the files beside it add; kUnsupported names what is not known.
Result<SentencePieceFile> read_sentencepiece_file(std::string_view bytes, const SideFiles& side);

// The reverse, for BPE: pieces, scores and kinds of `file`, its bos, eos and add_prefix.
std::string write_sentencepiece_file(const SentencePieceFile& file);

}  // namespace phial::tokenizer
