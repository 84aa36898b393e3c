// SentencePiece BPE: spaces become the mark U+2581, the text is cut into characters, and the adjacent pair whose joined
// piece has the best score merges first (Llama-2, Phi-3, Mistral, Gemma). Characters without a piece become byte
// tokens.
//
// Source: Kudo and Richardson 2018; the merge rules of spec section 5.1. A literal U+2581 in the text is taken for a
// space, as the reference does, so that it alone does not survive decode(encode(text)).
#pragma once

#include <memory>
#include <vector>

#include "phial/tokenizer/merges.h"
#include "phial/tokenizer/normalizer.h"
#include "phial/tokenizer/vocabulary.h"

namespace phial::tokenizer {

inline constexpr std::string_view kSpaceMark = "\xE2\x96\x81";  // U+2581

enum class SpacePrefix : uint8_t { kNone, kFirstSegment, kEverySegment };

struct SentencePieceBpe {
  Vocabulary vocabulary;  // pieces are spelled with marks; byte tokens <0x00>..<0xFF> are of kind kByte
  Normalizer normalizer;
  SpacePrefix prefix = SpacePrefix::kEverySegment;
  bool prefix_unless_present = false;     // no second mark where the segment already begins with one
  bool every_space_starts_word = false;   // runs of spaces never share a piece
  bool remove_extra_whitespaces = false;  // spaces at both ends vanish, runs become one
  bool fuse_unknown = true;               // characters without piece or bytes, side by side, become one unknown token
};

// Merges in the order of `scores` (by id; higher first). kCorrupt if sizes contradict each other or a score is no
// number.
Result<std::unique_ptr<Tokenizer>> make_sentencepiece(SentencePieceBpe parts, const std::vector<float>& scores);

// Merges in the order of a list of pairs of pieces, best first.
Result<std::unique_ptr<Tokenizer>> make_sentencepiece(
    SentencePieceBpe parts, const std::vector<std::pair<std::string_view, std::string_view>>& merges);

// Phi-3 swallows white space behind its role markers; known by the tokens' texts, because GGUF files do not say it
// (spec section 5.1). Other vocabularies are left alone.
void apply_phi3_attributes(std::vector<AddedToken>& added);

// The byte that <0xHH> spells.
std::optional<unsigned char> byte_of_spelling(std::string_view piece);

// The piece with its marks as the spaces that they stand for.
std::string with_spaces(std::string_view piece);

// Runs of spaces as one, none at the ends.
std::string without_extra_spaces(std::string_view text);

}  // namespace phial::tokenizer
