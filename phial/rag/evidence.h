// The sentences of the passages found for a question: what an answer may rest on.
//
// Made once a question; the choice of a quotation, the judgment whether there is an answer at all, and the check of a
// generated answer read it.
// Threads: immutable once made.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "phial/base/result.h"
#include "phial/rag/answer_type.h"
#include "phial/rag/embed.h"
#include "phial/rag/negation.h"
#include "phial/rag/quantities.h"
#include "phial/rag/retrieve.h"
#include "phial/rag/sentences.h"

namespace phial::rag {

struct EvidenceSentence {
  size_t hit = 0;   // place in the hits
  size_t part = 0;  // of the hit: whose headings stand above it
  Span span;        // bytes of the hit's text
  // Where the row of a table that it stands in begins, in bytes of the hit's text; none in prose.
  std::optional<size_t> row;
  std::string text;
  bool is_statement = true;     // a heading or a question says nothing: what follows it does
  bool reads_as_label = false;  // the names of a table's columns, a letterhead, a greeting: it may say nothing
  bool is_description = false;  // of a picture, by a model (describe.h)
  std::unordered_set<std::string> stems;    // content words, without the number of an item
  std::unordered_set<std::string> numbers;  // "3.5", "1024"
  std::vector<Quantity> quantities;
  Polarity polarity;
  bool can_answer = true;  // it may hold an answer of the type asked for (answer_type.h)
  std::vector<float> vector;
  float cosine = 0;  // with the question
  // Log odds that it holds the answer, of a reader (rag/extractive_reader.h); none if the encoder has not learned to,
  // or nothing was asked: a claim ends with a full stop.
  std::optional<float> reading;
  double overlap = 0;        // of the question's words, weighted by rarity, 0 to 1
  double place_overlap = 0;  // the same, with the words of the title and headings above it

  // How near it is to the question, by meaning and words.
  double relevance() const { return (cosine + overlap) / 2; }
};

struct QuestionWord {
  std::string stem;
  double weight = 0;  // rarer in the library, larger
  int64_t passages = 0;
  bool is_name = false;  // "PostgreSQL", "EAR99": a capital inside the question, or letters with digits
};

class Evidence {
 public:
  // Looks at the first `max_hits` hits only.
  static Result<Evidence> make(std::string_view question, std::span<const Hit> hits, Store& store, Embedder& embedder,
                               size_t max_hits);

  std::span<const EvidenceSentence> sentences() const { return sentences_; }
  std::span<const QuestionWord> question_words() const { return question_words_; }
  AnswerType answer_type() const { return answer_type_; }
  // The content words and numbers of a whole hit, its headings included.
  const std::unordered_set<std::string>& stems_of(size_t hit) const { return hit_stems_[hit]; }
  const std::unordered_set<std::string>& numbers_of(size_t hit) const { return hit_numbers_[hit]; }
  // The content words and numbers of the title and headings above a sentence, without the headings' own numbering.
  const std::unordered_set<std::string>& heading_stems_of(const EvidenceSentence& sentence) const {
    return heading_stems_[sentence.hit][sentence.part];
  }
  // The page on which the byte `at` of the document's text stands; 0: the format has none. A passage may run on from
  // one page to the next.
  int page_of(size_t hit, uint64_t at) const;
  size_t hits() const { return hit_stems_.size(); }
  int64_t library_passages() const { return library_passages_; }

  // The share of the question's words, by weight, that stand in `stems`.
  double overlap(const std::unordered_set<std::string>& stems) const;

 private:
  std::vector<EvidenceSentence> sentences_;
  std::vector<QuestionWord> question_words_;
  AnswerType answer_type_ = AnswerType::kAny;
  std::vector<std::unordered_set<std::string>> hit_stems_, hit_numbers_;
  std::vector<std::vector<std::unordered_set<std::string>>> heading_stems_;  // by hit and part
  std::vector<std::map<uint64_t, int>> pages_;                               // of each hit, by the byte they begin at
  int64_t library_passages_ = 0;
};

// Of two vectors of one length.
float dot(std::span<const float> a, std::span<const float> b);

// The numbers in `text`: digits with points or commas, commas dropped.
std::unordered_set<std::string> numbers_in(std::string_view text);

}  // namespace phial::rag
