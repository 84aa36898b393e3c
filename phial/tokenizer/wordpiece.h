// WordPiece: words and punctuation marks, each cut greedily into the longest pieces that the vocabulary has (BERT).
//
// bos() is [CLS] and end_of_text() [SEP]: an encoder's input is encode(text, {.add_bos = true}) and then [SEP].
// Source: Devlin et al. 2019; the normalisation is that of the reference's BasicTokenizer.
#pragma once

#include <memory>
#include <string>

#include "phial/tokenizer/vocabulary.h"

namespace phial::tokenizer {

struct WordPiece {
  Vocabulary vocabulary;  // pieces inside a word begin with `continuation`
  std::string continuation = "##";
  bool clean_text = true;        // control characters vanish, any white space is a space
  bool split_ideographs = true;  // each Chinese character is a word
  bool strip_accents = true;
  bool lower_case = true;
  bool tidy_punctuation = true;  // decode() writes no space before . , ? !
  int longest_word = 100;        // characters; a longer word is unknown
};

Result<std::unique_ptr<Tokenizer>> make_wordpiece(WordPiece parts);

}  // namespace phial::tokenizer
