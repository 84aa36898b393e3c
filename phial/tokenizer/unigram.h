// SentencePiece unigram: of all ways to cut a word into pieces, the one with the highest sum of scores (XLM-R, T5, and
// the multilingual embedders built on them).
//
// Source: Kudo 2018; Viterbi over a byte trie. bos() and end_of_text() are <s> and </s> where the vocabulary has them.
#pragma once

#include <memory>
#include <vector>

#include "phial/tokenizer/normalizer.h"
#include "phial/tokenizer/sentencepiece.h"
#include "phial/tokenizer/vocabulary.h"

namespace phial::tokenizer {

struct Unigram {
  Vocabulary vocabulary;  // spelled with space marks
  Normalizer normalizer;
  bool split_white_space = false;         // white space only separates words, each of which gets a mark
  bool every_space_starts_word = true;    // pieces do not cross into the next word
  bool remove_extra_whitespaces = false;  // spaces at both ends vanish, runs become one
  bool prefix_unless_present = true;
  SpacePrefix prefix = SpacePrefix::kEverySegment;
};

// Whether no piece has a mark behind its first character: then words can be cut apart at single spaces.
bool marks_only_begin_pieces(const Vocabulary& vocabulary);

// `scores`: by id. kCorrupt if sizes contradict each other, a score is no number or there is no unknown token.
Result<std::unique_ptr<Tokenizer>> make_unigram(Unigram parts, const std::vector<double>& scores);

}  // namespace phial::tokenizer
