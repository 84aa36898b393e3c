// Words as the full-text index and the citation check see them.
//
// Scripts that are written without spaces (Chinese, Japanese, Thai, ...) are cut into overlapping pairs of characters:
// that needs no dictionary, and question and document are cut alike whatever stands around a word.
// Threads: any.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "phial/rag/sentences.h"

namespace phial::rag {

// `text` with each run of an unspaced script replaced by its characters and their pairs, spaces between; anything else
// as it is. What goes into the index.
std::string index_text(std::string_view text);

struct Word {
  std::string text;  // case folded; a pair of characters for unspaced scripts
  Span span;         // in the original text
  bool is_number = false;
};

// Letters, digits and marks in a row are a word ("3.5", "1,024" and "don't" stay whole; "Elena's" is "elena").
std::vector<Word> words_of(std::string_view text);

// The parts of a list written in one string, "euro euros eur".
std::vector<std::string_view> parts_at_spaces(std::string_view list);

// Function words of English and a few neighbours, folded: "the", "what", "und".
bool is_stop_word(std::string_view folded);

// A rough stem for comparing words of an answer with words of a passage: plural and verb endings of English cut, so
// that "answers", "answered" and "answer" are equal. Never shorter than three letters.
std::string rough_stem(std::string_view folded);

// Words that carry meaning: folded, without stop words, stemmed, each once, in order of appearance.
std::vector<std::string> content_words(std::string_view text);

// Letters without their accents and umlauts, as the index folds them.
std::string without_accents(std::string_view folded);

// What a question asks the index for: a word, or several in a row.
struct QueryTerm {
  std::string text;
  double share = 1;  // of the weight that its rarity gives it
};

// The share of a term beside the words that the question has: plain words joined by a hyphen or slash as one phrase, an
// indexed word that holds a rare one or stands in it. Chosen on SciFact's train claims alone (bench/retrieval.py).
inline constexpr double kStandInShare = 0.25;

// Words of a question: without stop words unless nothing else is left; compounds such as "SQLITE_BUSY" or "ISO-8859-1"
// besides whole. At most 64.
std::vector<QueryTerm> query_terms(std::string_view question);

// A query in FTS5's language that asks for any of `terms`. Every term is a quoted string, so nothing in it is an
// operator. Empty for no terms.
std::string any_of(const std::vector<std::string>& terms);

}  // namespace phial::rag
