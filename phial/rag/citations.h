// Checks what a model wrote against the passages it was given, sentence by sentence.
//
// Citation marks in an answer are ours: those that the model wrote are read as hints and taken out, and a mark is put
// only where a passage supports the sentence. So no mark can point to anything but a passage, whatever a document or a
// model says.
// A sentence is supported by one statement: a sentence of a passage, or two neighbours, which rows of a table are not
// to each other; headings and questions state nothing. The statement holds its numbers, with no other units, denies
// what it denies and nothing else, and has either most of its content words, or many of them and nearly its meaning.
// Words gathered from all over a passage support nothing. A description of a picture carries a sentence only where no
// text does, and that is told: a model wrote it. Threads: any.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "phial/base/result.h"
#include "phial/rag/embed.h"
#include "phial/rag/evidence.h"

namespace phial::rag {

// `text` with everything that reads like a citation mark ("[3]", "[1, 2]") in round brackets, so that only ours are
// marks.
std::string defuse_marks(std::string_view text);

// `text` without such marks, and the numbers that stood in them.
struct Unmarked {
  std::string text;
  std::vector<int> numbers;
};
Unmarked take_marks(std::string_view text);

// The bytes of marks, and spaces between them, that `text` begins with.
size_t leading_marks(std::string_view text);

// How far a statement of a hit carries a sentence.
struct Support {
  size_t hit = 0;
  size_t first = 0, last = 0;  // its sentences: places in Evidence::sentences(), one or two
  double words = 0;            // share of the sentence's content words in the statement or in the passage's headings
  double own_words = 0;        // the same, headings left out
  double cosine = 0;
  bool numbers = true;    // it holds all of the sentence's numbers
  bool units = true;      // where both have a unit behind the same number it is the same
  bool negations = true;  // no word that both have is denied by one of them alone

  double score() const { return words + cosine + (numbers && units ? 0.5 : 0) + (negations ? 0.5 : 0); }
};

// Is that enough?
bool supports(const Support& support);

struct CheckedSentence {
  std::string text;            // without marks; a wrong number replaced
  std::vector<size_t> hits;    // that support it, best first; empty: unsupported
  std::vector<Span> evidence;  // for each, the bytes of its text that do
  bool corrected = false;      // a number was replaced by the passage's, or taken out
  double support = 0;          // of the best hit
  bool has_gap = false;        // a number was taken out
  bool is_copied = false;      // one sentence that supports it has all its words, in their order
  bool is_seen = false;        // it rests on the picture of its hit, which nothing checks
  bool is_described = false;   // it rests on what a model wrote about a picture, which nothing has checked
  double relevance = 0;        // of what supports it, as a share of the most relevant statement's
};

class CitationCheck {
 public:
  CitationCheck(const Evidence& evidence, Embedder& embedder) : evidence_(evidence), embedder_(embedder) {}

  // One sentence as the model wrote it, marks included. Mark n is read as hit n - 1, and preferred if it supports.
  Result<CheckedSentence> check(std::string_view sentence);

  // Each hit's best statement for the sentence, best first.
  Result<std::vector<Support>> judge(std::string_view sentence) const;

 private:
  std::string text_of(const Support& support) const;
  double relative_relevance(const Support& support) const;
  Span span_of(const Support& support) const;
  bool is_described(const Support& support) const;
  bool correct_number(CheckedSentence& sentence, std::span<const Support> judged) const;
  bool is_held(const std::string& number, std::span<const Support> judged) const;

  const Evidence& evidence_;
  Embedder& embedder_;
};

}  // namespace phial::rag
