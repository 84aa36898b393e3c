#include "phial/rag/quote.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

#include "phial/rag/lexical.h"

namespace phial::rag {
namespace {

constexpr double kCosineWeight = 0.5, kOverlapWeight = 0.3, kPassageWeight = 0.2;
constexpr double kReadingWeight = 0.01;  // decision 0016
// Taken off what cannot hold an answer of the type asked for, or reads as a label.
constexpr double kUnlikely = 0.1;
constexpr size_t kMaxQuoted = 2;
constexpr double kNearlyAsGood = 0.09;  // that much less
constexpr double kUnderHeading = 0.06;  // less than the heading's own
constexpr size_t kMinWords = 3;

// Whether a sentence is one: what has fewer content words may be a title, unless its form says that it is none. "The
// ladder is in the attic." has two.
bool states_something(const EvidenceSentence& sentence) {
  constexpr auto kStops = std::to_array<std::string_view>({".", "!", "\u3002", "\uFF01"});
  return sentence.stems.size() >= kMinWords || sentence.row || numbering(sentence.text) > 0 ||
         (is_field(sentence.text) && !sentence.text.ends_with(':') && !sentence.text.starts_with('[')) ||
         std::ranges::any_of(kStops, [&](std::string_view stop) { return sentence.text.ends_with(stop); });
}

// Whether a sentence says itself why.
bool gives_reason(const EvidenceSentence& sentence) {
  static const auto kWords = parts_at_spaces("because due weil denn wegen daher deshalb");
  return std::ranges::any_of(words_of(sentence.text),
                             [](const Word& word) { return std::ranges::find(kWords, word.text) != kWords.end(); });
}

// Whether a heading may be the answer itself: "## 3.1.0 (2024-02-20)", asked when 3.1.0 came out.
bool answers_as_heading(const EvidenceSentence& sentence, const Evidence& evidence) {
  const AnswerType type = evidence.answer_type();
  if (sentence.is_statement || is_question(sentence.text) || !sentence.can_answer) return false;
  if (type == AnswerType::kAny || type == AnswerType::kExplanation) return false;
  // It must hold a number that was asked for, and one more.
  const auto asked = std::ranges::count_if(
      evidence.question_words(), [&](const QuestionWord& word) { return sentence.numbers.contains(word.stem); });
  return asked > 0 && sentence.numbers.size() > static_cast<size_t>(asked);
}

// Of the sentences `all` the one that goes on where `place` ends, in its paragraph; none if that is its last.
std::optional<size_t> following(std::span<const EvidenceSentence> all, size_t place, std::span<const Hit> hits) {
  const size_t next = place + 1;
  if (next == all.size() || all[next].hit != all[place].hit || all[next].part != all[place].part) return std::nullopt;
  if (!all[place].is_statement || !all[next].is_statement || all[place].row || all[next].row) return std::nullopt;
  if (all[next].reads_as_label || all[next].is_description || all[next].stems == all[place].stems) return std::nullopt;
  const size_t gap = all[place].span.end;
  const std::string_view between =
      std::string_view(hits[all[place].hit].passage.text).substr(gap, all[next].span.start - gap);
  return between.find("\n\n") == std::string_view::npos ? std::optional(next) : std::nullopt;
}

}  // namespace

double quote_score(const EvidenceSentence& sentence, const Hit& hit) {
  return kCosineWeight * sentence.cosine + kOverlapWeight * sentence.place_overlap + kPassageWeight * hit.score +
         kReadingWeight * sentence.reading.value_or(0) - (sentence.can_answer ? 0 : kUnlikely) -
         (sentence.reads_as_label ? kUnlikely : 0);
}

std::vector<CheckedSentence> quote(const Evidence& evidence, std::span<const Hit> hits) {
  const auto all = evidence.sentences();
  struct Ranked {
    size_t place = 0;
    double score = 0;
  };
  // Of a figure that is only named, its name is all there is to say.
  std::vector<bool> has_only_figures(hits.size());
  for (size_t i = 0; i < hits.size(); ++i) has_only_figures[i] = !hits[i].figures.empty();
  for (const EvidenceSentence& sentence : all) {
    if (sentence.is_statement) has_only_figures[sentence.hit] = false;
  }
  std::vector<Ranked> ranked;
  for (size_t i = 0; i < all.size(); ++i) {
    const bool states = has_only_figures[all[i].hit] || (all[i].is_statement && states_something(all[i]));
    double score = quote_score(all[i], hits[all[i].hit]);
    // What stands under a heading or a question that is like the one asked answers it, whatever its own words.
    if (i > 0 && all[i - 1].hit == all[i].hit && !all[i - 1].is_statement) {
      score = std::max(score, quote_score(all[i - 1], hits[all[i].hit]) - kUnderHeading);
    }
    ranked.push_back({i, score - (states || answers_as_heading(all[i], evidence) ? 0.0 : 1.0)});
  }
  std::stable_sort(ranked.begin(), ranked.end(), [](const Ranked& a, const Ranked& b) { return a.score > b.score; });
  std::vector<size_t> chosen;
  // Why something is so, or how it is done, is told in the sentence after the one that names it.
  if (evidence.answer_type() == AnswerType::kExplanation && !ranked.empty() && !gives_reason(all[ranked[0].place])) {
    if (const auto next = following(all, ranked[0].place, hits)) chosen = {ranked[0].place, *next};
  }
  for (const Ranked& one : ranked) {
    if (chosen.size() == kMaxQuoted || (!chosen.empty() && one.score < ranked.front().score - kNearlyAsGood)) break;
    // Documents repeat themselves; an answer does not.
    const bool is_said =
        std::ranges::any_of(chosen, [&](size_t place) { return all[place].stems == all[one.place].stems; });
    if (!is_said) chosen.push_back(one.place);
  }
  // In the order of the text, as far as they share a passage.
  if (chosen.size() == 2 && all[chosen[0]].hit == all[chosen[1]].hit) std::sort(chosen.begin(), chosen.end());
  std::vector<CheckedSentence> quoted;
  for (const size_t place : chosen) {
    std::string text = all[place].text;
    std::replace(text.begin(), text.end(), '\n', ' ');
    // Columns of plain text are set with spaces.
    const auto doubled = std::ranges::unique(text, [](char a, char b) { return a == ' ' && b == ' '; });
    text.erase(doubled.begin(), doubled.end());
    quoted.push_back({.text = std::move(text),
                      .hits = {all[place].hit},
                      .evidence = {all[place].span},
                      .corrected = false,
                      .support = 1,
                      .is_described = all[place].is_description});
  }
  return quoted;
}

}  // namespace phial::rag
