// What a model writes, sentence by sentence: checked, held back or left out, and written down with its marks.
// Threads: one at a time.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "phial/rag/answer.h"
#include "phial/rag/citations.h"
#include "phial/rag/evidence.h"
#include "phial/rag/lexical.h"
#include "phial/rag/retrieve.h"

namespace phial::rag {

// Writes the answer: sentences as they are settled, each mark numbered at its first use. A hit that runs over several
// pages has a number for each that is cited.
class AnswerWriter {
 public:
  AnswerWriter(Answer& answer, std::span<const Hit> hits, const Evidence& evidence, const Answerer::OnText& on_text)
      : answer_(answer), hits_(hits), evidence_(evidence), on_text_(on_text) {}

  void write(const CheckedSentence& checked);

  void show(std::string_view text);

  // `evidence`: bytes of the hit's text; none: all of it.
  int number_of(size_t hit, std::optional<Span> evidence);

 private:
  Answer& answer_;
  std::span<const Hit> hits_;
  const Evidence& evidence_;
  const Answerer::OnText& on_text_;
  std::map<std::pair<size_t, int>, int> numbers_;  // by hit and page
};

// Takes the model's text as it comes, cuts it into sentences, checks each and hands it on. What is unsupported waits
// until a supported sentence follows, so that an answer of which nothing holds is never shown. A sentence that has lost
// a number is shown only if it is to the point. One that says nothing beyond the question and the headings, that
// repeats the instructions, or that was said before, is left out.
//
// A small model likes to say what is true and was not asked: its answer begins with a sentence whose evidence is nearly
// the most relevant that there is, what it copied on the way there is left out, and so is what has next to nothing to
// do with the question, is no cut of one sentence of its evidence, or has nothing to support it. A larger one finds
// what words and vectors do not, and lists steps that do not repeat the question.
//
// What a model reads from a picture no text can support: a sentence that no text supports, and that it marks with the
// number of a hit whose picture it sees, is taken as seen. Where texts hold an answer it waits for a supported one like
// any other; where none does it may begin, unless it denies something: "the picture does not show it" answers nothing.
class SentenceGate {
 public:
  // `seen`: hits whose pictures the model has before it. `only_seen`: nothing else makes an answer.
  SentenceGate(CitationCheck& check, AnswerWriter& writer, const Evidence& evidence, std::span<const Hit> hits,
               bool is_small, std::set<size_t> seen, bool only_seen);

  void take(std::string_view text);

  // `is_cut`: the text ends in the middle, because no more tokens were allowed; half a sentence is no answer.
  void finish(bool is_cut);

  bool any_supported() const { return any_supported_; }
  // The model goes round in circles: there is nothing more to come.
  bool is_repeating() const { return repeats_ >= kMaxRepeats; }
  const std::optional<Error>& failure() const { return failure_; }

 private:
  void settle(std::string sentence, std::string rest);

  // The passage that the sentence names and whose picture the model sees.
  std::optional<size_t> picture_named(std::string_view sentence) const;

  static std::string trimmed(std::string_view text);
  // Nothing is shown before such a sentence.
  bool may_begin(const CheckedSentence& checked) const;

  // The number of an item in the model's own list is no claim; one that is copied from a passage stays.
  Result<CheckedSentence> check_unnumbered(std::string_view sentence);

  bool is_to_the_point(const CheckedSentence& checked) const;

  // What is not shown at all, even beside an answer.
  bool is_beside_the_point(const CheckedSentence& checked) const;

  // From a small model neither a fragment ("1247"), nor words put together anew, nor what nothing supports is shown: it
  // knows too little of what it joins, and a check of words cannot tell all of that from what is true.
  bool is_unsafe(const CheckedSentence& checked) const;

  // "Passage 2 is about the lease": seldom an answer, unless what it says there is.
  bool speaks_of_passages(std::string_view sentence) const;

  bool says_something_new(std::string_view sentence);

  static constexpr int kMaxRepeats = 2;
  // Shares of the best relevance; set by hand.
  static constexpr double kToThePoint = 0.6;
  static constexpr double kSmallToThePoint = 0.85;
  static constexpr double kAside = 0.3;
  static constexpr size_t kFewestWords = 4;        // content words; fewer say too little to be held against evidence
  static constexpr size_t kFewestEchoedWords = 4;  // fewer may be an answer: "the user's documents"

  CitationCheck& check_;
  AnswerWriter& writer_;
  bool is_small_;
  std::span<const Hit> hits_;
  std::set<size_t> seen_;
  bool only_seen_;
  const std::string passage_ = rough_stem("passage");
  std::string pending_;
  std::unordered_set<std::string> known_;       // content words of the question and the headings
  std::unordered_set<std::string> instructed_;  // content words of the instructions
  std::unordered_set<std::string> said_;        // sentences so far, as their content words
  int repeats_ = 0;
  std::vector<CheckedSentence> waiting_;
  bool any_supported_ = false;
  std::optional<Error> failure_;
};

}  // namespace phial::rag
