// Checks what a model wrote against the passages it was given, sentence by sentence.
//
// Citation marks in an answer are ours: those that the model wrote are read as hints and taken out, and a mark is put
// only where a passage supports the sentence. So no mark can point to anything but a passage, whatever a document or a
// model says.
// A passage supports a sentence if it holds its numbers and either most of its content words, or many of them and a
// sentence that means nearly the same.
// Threads: any.
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

struct Support {
  size_t hit = 0;
  double words = 0;     // share of the sentence's content words in the hit
  double cosine = 0;    // of the nearest sentence of the hit
  size_t nearest = 0;   // that sentence: place in Evidence::sentences()
  bool numbers = true;  // the hit holds all of the sentence's numbers
};

struct CheckedSentence {
  std::string text;              // without marks; a wrong number replaced
  std::vector<size_t> hits;      // that support it, best first; empty: unsupported
  std::vector<size_t> evidence;  // for each, its nearest sentence
  bool corrected = false;        // a number was replaced by the passage's or taken out
  double support = 0;            // of the best hit
};

class CitationCheck {
 public:
  CitationCheck(const Evidence& evidence, Embedder& embedder) : evidence_(evidence), embedder_(embedder) {}

  // One sentence as the model wrote it, marks included. Mark n is read as hit n - 1, and preferred if it supports.
  Result<CheckedSentence> check(std::string_view sentence);

  // All sentences of the passages by how well each one alone carries `sentence`, best first.
  struct Ranked {
    size_t sentence = 0;  // place in Evidence::sentences()
    double score = 0, words = 0, cosine = 0;
  };
  Result<std::vector<Ranked>> rank_sentences(std::string_view sentence) const;

  // How each hit supports the sentence, best first.
  Result<std::vector<Support>> judge(std::string_view sentence) const;

 private:
  bool correct_number(CheckedSentence& sentence, std::span<const Support> judged) const;
  bool is_held(const std::string& number, std::span<const Support> judged) const;

  const Evidence& evidence_;
  Embedder& embedder_;
};

}  // namespace phial::rag
