#include "phial/rag/citations.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <optional>
#include <utility>

#include "phial/base/utf8.h"
#include "phial/rag/lexical.h"
#include "phial/rag/negation.h"
#include "phial/rag/quantities.h"

namespace phial::rag {
namespace {

// Enough shared words alone, or fewer with a near sentence. Set by hand; on SciFact's train claims the best of 60
// other sets tells supporting from wrong abstracts (rate of one less rate of the other) better by 0.003
// (bench/answers.py tune).
constexpr double kEnoughWords = 0.8;
constexpr double kSomeWords = 0.5;
constexpr double kNearCosine = 0.6;
constexpr double kFewestOwnWords = 0.4;
constexpr size_t kMaxStatement = 2;  // sentences
constexpr double kPairGain = 0.05;   // by which two sentences must be better than one
constexpr size_t kMaxCited = 2;      // hits in one sentence
constexpr size_t kMaxMarkBytes = 40;

struct Bracket {
  char32_t open, close;
};
// What a person or a model may take for a mark.
constexpr Bracket kBrackets[] = {{'[', ']'}, {0xFF3B, 0xFF3D}, {0x3010, 0x3011}};  // ASCII, fullwidth, lenticular

// "[passage 3]" is one too; "[int32]" and "[Table 2]" are not.
constexpr std::string_view kMarkWords[] = {"passage", "passages", "source", "doc", "document", "ref", "citation"};

// A mark that starts at `at`: where it ends, its content in between.
struct Mark {
  size_t inner_start = 0, inner_end = 0, end = 0;
};

std::optional<Mark> mark_at(std::string_view text, size_t at) {
  const DecodedChar first = decode_utf8(text, at);
  const auto* bracket = std::find_if(std::begin(kBrackets), std::end(kBrackets),
                                     [&](const Bracket& b) { return b.open == first.code_point; });
  if (bracket == std::end(kBrackets)) return std::nullopt;
  Mark mark;
  mark.inner_start = at + static_cast<size_t>(first.length);
  bool has_digit = false;
  std::string letters;
  for (size_t i = mark.inner_start; i < text.size() && i < at + kMaxMarkBytes;) {
    const DecodedChar c = decode_utf8(text, i);
    if (c.code_point == bracket->close) {
      mark.inner_end = i;
      mark.end = i + static_cast<size_t>(c.length);
      const bool is_mark = has_digit && (letters.empty() || std::find(std::begin(kMarkWords), std::end(kMarkWords),
                                                                      letters) != std::end(kMarkWords));
      return is_mark ? std::optional(mark) : std::nullopt;
    }
    const bool is_digit =
        (c.code_point >= '0' && c.code_point <= '9') || (c.code_point >= 0xFF10 && c.code_point <= 0xFF19);
    const bool is_letter = (c.code_point >= 'a' && c.code_point <= 'z') || (c.code_point >= 'A' && c.code_point <= 'Z');
    if (is_letter) letters += static_cast<char>(c.code_point | 0x20);
    const bool fits = is_digit || is_letter || c.code_point == ' ' || c.code_point == ',' || c.code_point == ';' ||
                      c.code_point == '-' || c.code_point == '^' || c.code_point == '#' || c.code_point == 0x2013;
    if (!fits) return std::nullopt;
    has_digit = has_digit || is_digit;
    i += static_cast<size_t>(c.length);
  }
  return std::nullopt;
}

std::vector<int> numbers_of_mark(std::string_view inner) {
  std::vector<int> numbers;
  int number = -1;
  for (const char c : inner) {
    if (c >= '0' && c <= '9') {
      number = number < 0 ? c - '0' : std::min(number * 10 + (c - '0'), 1'000'000);
    } else if (number >= 0) {
      numbers.push_back(std::exchange(number, -1));
    }
  }
  if (number >= 0) numbers.push_back(number);
  return numbers;
}

// What a sentence says, to be held against statements.
struct Claim {
  std::vector<std::string> words;
  std::unordered_set<std::string> numbers;
  std::vector<Quantity> quantities;
  Polarity polarity;
};

// How far the statement made of the sentences first..last carries the claim.
Support weigh(const Claim& claim, std::span<const float> vector, const Evidence& evidence, size_t first, size_t last) {
  const auto statement = evidence.sentences().subspan(first, last - first + 1);
  Support support{.hit = statement.front().hit, .first = first, .last = last};
  const auto& headings = evidence.heading_stems_of(statement.front());
  const auto anywhere = [&](auto member, const std::string& word) {
    return std::any_of(statement.begin(), statement.end(), [&](const auto& s) { return (s.*member).contains(word); });
  };
  double own = 0;
  double either = 0;
  for (const std::string& word : claim.words) {
    const bool is_own = anywhere(&EvidenceSentence::stems, word);
    own += is_own ? 1 : 0;
    either += is_own || headings.contains(word) ? 1 : 0;
  }
  if (!claim.words.empty()) {
    support.own_words = own / static_cast<double>(claim.words.size());
    support.words = either / static_cast<double>(claim.words.size());
  }
  std::vector<float> sum(vector.size());
  Polarity polarity;
  for (const EvidenceSentence& one : statement) {
    std::transform(sum.begin(), sum.end(), one.vector.begin(), sum.begin(), std::plus<>());
    polarity.denied.insert(one.polarity.denied.begin(), one.polarity.denied.end());
    polarity.affirmed.insert(one.polarity.affirmed.begin(), one.polarity.affirmed.end());
  }
  const double length = std::sqrt(dot(sum, sum));
  if (length > 0) support.cosine = dot(vector, sum) / length;
  support.numbers = std::all_of(claim.numbers.begin(), claim.numbers.end(), [&](const std::string& number) {
    return anywhere(&EvidenceSentence::numbers, number) || headings.contains(number);
  });
  std::vector<Quantity> stated;
  for (const EvidenceSentence& one : statement) {
    stated.insert(stated.end(), one.quantities.begin(), one.quantities.end());
  }
  support.units =
      std::ranges::none_of(claim.quantities, [&](const Quantity& one) { return has_other_unit(one, stated); });
  support.negations = !contradict(claim.polarity, polarity);
  return support;
}

// Whether the content words of `sentence` stand in `statement` in the same order.
bool is_cut_of(std::string_view sentence, std::string_view statement) {
  const std::vector<Word> theirs = words_of(statement);
  auto at = theirs.begin();
  for (const Word& word : words_of(sentence)) {
    if (is_stop_word(word.text)) continue;
    at = std::ranges::find(at, theirs.end(), rough_stem(word.text), [](const Word& w) { return rough_stem(w.text); });
    if (at == theirs.end()) return false;
    ++at;
  }
  return true;
}

// The content words beside the number at words[at].
std::vector<std::string> neighbours(const std::vector<Word>& words, size_t at) {
  std::vector<std::string> found;
  if (at > 0 && !is_stop_word(words[at - 1].text)) found.push_back(rough_stem(words[at - 1].text));
  if (at + 1 < words.size() && !is_stop_word(words[at + 1].text)) found.push_back(rough_stem(words[at + 1].text));
  return found;
}

}  // namespace

std::string defuse_marks(std::string_view text) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    if (const auto mark = mark_at(text, at)) {
      out.append("(").append(text.substr(mark->inner_start, mark->inner_end - mark->inner_start)).append(")");
      at = mark->end;
      continue;
    }
    const auto length = static_cast<size_t>(decode_utf8(text, at).length);
    out.append(text.substr(at, length));
    at += length;
  }
  return out;
}

Unmarked take_marks(std::string_view text) {
  Unmarked unmarked;
  for (size_t at = 0; at < text.size();) {
    if (const auto mark = mark_at(text, at)) {
      const auto numbers = numbers_of_mark(text.substr(mark->inner_start, mark->inner_end - mark->inner_start));
      unmarked.numbers.insert(unmarked.numbers.end(), numbers.begin(), numbers.end());
      while (!unmarked.text.empty() && unmarked.text.back() == ' ') unmarked.text.pop_back();
      at = mark->end;
      continue;
    }
    const auto length = static_cast<size_t>(decode_utf8(text, at).length);
    unmarked.text.append(text.substr(at, length));
    at += length;
  }
  return unmarked;
}

size_t leading_marks(std::string_view text) {
  size_t end = 0;
  for (size_t at = 0; at < text.size();) {
    if (text[at] == ' ') {
      ++at;
    } else if (const auto mark = mark_at(text, at)) {
      end = at = mark->end;
    } else {
      break;
    }
  }
  return end;
}

bool supports(const Support& support) {
  if (!support.numbers || !support.units || !support.negations || support.own_words < kFewestOwnWords) return false;
  return support.words >= kEnoughWords || (support.words >= kSomeWords && support.cosine >= kNearCosine);
}

Result<std::vector<Support>> CitationCheck::judge(std::string_view sentence) const {
  const Claim claim{content_words(sentence), numbers_in(sentence), quantities_in(sentence), polarity_of(sentence)};
  const std::string text(sentence);
  PHIAL_TRY(const auto vector, embedder_.embed(std::span(&text, 1)));
  const auto all = evidence_.sentences();
  std::vector<std::optional<Support>> best(evidence_.hits());
  for (size_t first = 0; first < all.size(); ++first) {
    for (size_t last = first; last < std::min(first + kMaxStatement, all.size()); ++last) {
      if (all[last].hit != all[first].hit || all[last].row != all[first].row || !all[last].is_statement) break;
      const Support support = weigh(claim, vector, evidence_, first, last);
      auto& known = best[support.hit];
      // Two sentences only where one is not enough.
      if (!known || support.score() > known->score() + (last > first ? kPairGain : 0)) known = support;
    }
  }
  std::vector<Support> supports;
  for (const auto& one : best) {
    if (one) supports.push_back(*one);
  }
  std::stable_sort(supports.begin(), supports.end(),
                   [](const Support& a, const Support& b) { return a.score() > b.score(); });
  return supports;
}

Result<CheckedSentence> CitationCheck::check(std::string_view sentence) {
  const Unmarked unmarked = take_marks(sentence);
  CheckedSentence checked;
  checked.text = unmarked.text;
  PHIAL_TRY(auto judged, judge(checked.text));
  if (judged.empty()) return checked;
  if (!supports(judged.front()) && correct_number(checked, judged)) {
    PHIAL_TRY(judged, judge(checked.text));
  }
  checked.support = (judged.front().words + judged.front().cosine) / 2;
  std::vector<Support> supporting;
  std::copy_if(judged.begin(), judged.end(), std::back_inserter(supporting), supports);
  // What the model pointed to comes first, if it holds.
  std::stable_partition(supporting.begin(), supporting.end(), [&](const Support& support) {
    return std::find(unmarked.numbers.begin(), unmarked.numbers.end(), static_cast<int>(support.hit) + 1) !=
           unmarked.numbers.end();
  });
  std::stable_partition(supporting.begin(), supporting.end(),
                        [&](const Support& support) { return !is_described(support); });
  if (!supporting.empty()) {
    const Support& best = supporting.front();
    checked.is_copied = std::ranges::any_of(evidence_.sentences().subspan(best.first, best.last - best.first + 1),
                                            [&](const auto& one) { return is_cut_of(checked.text, one.text); });
    checked.is_described = is_described(supporting.front());
  }
  const size_t wanted = std::clamp<size_t>(unmarked.numbers.size(), 1, kMaxCited);
  for (size_t i = 0; i < std::min(supporting.size(), wanted); ++i) {
    checked.hits.push_back(supporting[i].hit);
    checked.evidence.push_back(span_of(supporting[i]));
    checked.relevance = std::max(checked.relevance, relative_relevance(supporting[i]));
  }
  return checked;
}

double CitationCheck::relative_relevance(const Support& support) const {
  const auto all = evidence_.sentences();
  const auto best_of = [](auto sentences) {
    double best = 0;
    for (const EvidenceSentence& one : sentences) best = std::max(best, one.is_statement ? one.relevance() : 0);
    return best;
  };
  const double best = best_of(all);
  return best > 0 ? best_of(all.subspan(support.first, support.last - support.first + 1)) / best : 1;
}

Span CitationCheck::span_of(const Support& support) const {
  return {evidence_.sentences()[support.first].span.start, evidence_.sentences()[support.last].span.end};
}

bool CitationCheck::is_described(const Support& support) const {
  return std::ranges::any_of(evidence_.sentences().subspan(support.first, support.last - support.first + 1),
                             &EvidenceSentence::is_description);
}

std::string CitationCheck::text_of(const Support& support) const {
  std::string text;
  for (const EvidenceSentence& one : evidence_.sentences().subspan(support.first, support.last - support.first + 1)) {
    text.append(text.empty() ? "" : "\n").append(one.text);
  }
  return text;
}

// Does any passage about the same thing hold the number?
bool CitationCheck::is_held(const std::string& number, std::span<const Support> judged) const {
  return std::any_of(judged.begin(), judged.end(), [&](const Support& support) {
    return support.words >= kSomeWords && evidence_.numbers_of(support.hit).contains(number);
  });
}

// A number that no passage holds becomes the one that its nearest sentence has beside the same word, if there
// is exactly one; else it is taken out.
bool CitationCheck::correct_number(CheckedSentence& sentence, std::span<const Support> judged) const {
  const Support& support = judged.front();
  if (support.numbers || support.words < kSomeWords || support.cosine < kNearCosine) return false;
  const std::string statement = text_of(support);
  const std::vector<Word> theirs = words_of(statement);
  const std::vector<Word> ours = words_of(sentence.text);
  for (size_t i = ours.size(); i-- > 0;) {
    if (!ours[i].is_number || is_held(ours[i].text, judged)) continue;
    const auto beside = neighbours(ours, i);
    std::vector<std::string> candidates;
    for (size_t k = 0; k < theirs.size(); ++k) {
      if (!theirs[k].is_number) continue;
      const auto other = neighbours(theirs, k);
      const bool same = std::any_of(beside.begin(), beside.end(), [&](const auto& word) {
        return std::find(other.begin(), other.end(), word) != other.end();
      });
      const Span span = theirs[k].span;
      if (same) candidates.emplace_back(statement.substr(span.start, span.size()));
    }
    const bool is_known = candidates.size() == 1;
    sentence.text.replace(ours[i].span.start, ours[i].span.size(), is_known ? candidates[0] : "…");
    sentence.corrected = true;
    sentence.has_gap = sentence.has_gap || !is_known;
  }
  return sentence.corrected;
}

}  // namespace phial::rag
