#include "phial/rag/evidence.h"

#include <unicode/uchar.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>

#include "phial/base/utf8.h"
#include "phial/rag/describe.h"
#include "phial/rag/lexical.h"

namespace phial::rag {
namespace {

// Sentences looked at in one passage of a hit; a table of a thousand rows must not cost a thousand embeddings.
constexpr size_t kMaxSentences = 24;

std::unordered_set<std::string> stems_in(std::string_view text) {
  const auto words = content_words(text);
  return {words.begin(), words.end()};
}

bool is_name(std::string_view written, bool is_first) {
  constexpr size_t kMinLetters = 3;  // "kB" and "10" are units and amounts
  const auto is_capital = [](char c) { return c >= 'A' && c <= 'Z'; };
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  if (written.size() < kMinLetters || std::all_of(written.begin(), written.end(), is_digit)) return false;
  // The first word of a question has a capital anyway; one further in ("SQLite") counts.
  return std::any_of(written.begin() + (is_first ? 1 : 0), written.end(), is_capital) ||
         std::any_of(written.begin(), written.end(), is_digit);
}

// A document's title and the headings of a part, "9. Index > 9.2. Format", without what only numbers them.
std::string headings_text(const std::string& title, std::string_view headings) {
  constexpr std::string_view kJoint = " > ";
  std::string text = title;
  while (!headings.empty()) {
    const size_t end = std::min(headings.find(kJoint), headings.size());
    const std::string_view one = headings.substr(0, end);
    text.append("\n").append(one.substr(numbering(one)));
    headings.remove_prefix(std::min(end + kJoint.size(), headings.size()));
  }
  return text;
}

// Is it one of "Install > Debian"?
bool is_heading(std::string_view text, std::string_view headings) {
  const std::string joint = " > ";
  return (joint + std::string(headings) + joint).find(joint + std::string(text) + joint) != std::string::npos;
}

// What ends with a full stop asks nothing, unless it is a request ("Tell me ...", "...\u3067\u3059\u304B\u3002"):
// readers have learned from questions, and see no answer to a claim.
bool is_claim(std::string_view text) {
  constexpr auto kRequests = std::to_array<std::string_view>({"tell", "give", "show", "list", "explain", "describe",
                                                              "find", "name", "summarize", "summarise", "please",
                                                              "nenne", "sage", "zeige", "zeig", "gib", "bitte"});
  const Span span = trim(text, {0, text.size()});
  const std::string_view trimmed = text.substr(span.start, span.size());
  const bool is_stopped = (trimmed.ends_with('.') && !trimmed.ends_with("..")) || trimmed.ends_with("\u3002");
  const bool is_japanese_request =
      trimmed.ends_with("\u304B\u3002") || trimmed.ends_with("\u304F\u3060\u3055\u3044\u3002");
  if (!is_stopped || is_japanese_request || trimmed.starts_with("\u8BF7")) return false;
  const std::vector<Word> words = words_of(trimmed);
  return words.empty() || std::ranges::find(kRequests, words.front().text) == kRequests.end();
}

// Adds `piece`, cut at spaces where it is longer than anybody reads as one.
void append_readable(std::string_view text, Span piece, std::vector<Span>& to) {
  constexpr size_t kLongest = 1000;
  while (piece.size() > kLongest) {
    const size_t space = text.rfind(' ', piece.start + kLongest);
    const bool is_near = space != std::string_view::npos && space > piece.start + kLongest / 2;
    const size_t end = is_near ? space : utf8_floor(text, piece.start + kLongest);
    to.push_back(trim(text, {piece.start, end}));
    piece = trim(text, {end, piece.end});
  }
  if (piece.size() > 0) to.push_back(piece);
}

// Lines of code and tables are sentences too: split_sentences sees single line ends as spaces.
std::vector<Span> statements(std::string_view text) {
  constexpr size_t kLongSentence = 400;
  std::vector<Span> found;
  for (const Span& sentence : split_sentences(text)) {
    if (sentence.size() <= kLongSentence) {
      found.push_back(sentence);
      continue;
    }
    for (size_t at = sentence.start; at < sentence.end;) {
      const size_t end = std::min(text.find('\n', at), sentence.end);
      append_readable(text, trim(text, {at, end}), found);
      at = end + 1;
    }
  }
  return found;
}

// Whether the row that begins at `row` may name the columns of those below it: the first of several, of three cells or
// more, none with a number. A passage that begins with a row may begin in the middle of a table.
bool names_columns(std::string_view text, size_t row) {
  constexpr std::string_view kJoint = " | ";
  const size_t above = text.substr(0, row).find_last_not_of(" \t\n");
  if (above == std::string_view::npos || row_at(text, above)) return false;
  const size_t end = std::min(text.find('\n', row), text.size());
  const std::string_view line = text.substr(row, end - row);
  const size_t joint = line.find(kJoint);
  const bool has_three = joint != std::string_view::npos && line.find(kJoint, joint + 1) != std::string_view::npos;
  return has_three && end + 1 < text.size() && row_at(text, end + 1) && numbers_in(line).empty();
}

// "Dear Ms Marquetti", "Harbour Mutual Insurance Contents Claims Department": every word begins with a capital and no
// number stands there. A field ("Phone: ..."), an address ("Mill Lane, Ebersmoor") and what is all capitals or ends
// with a stop say something.
bool is_label(std::string_view text) {
  if (text.find_first_of(":0123456789") != std::string_view::npos || text.find(", ") != std::string_view::npos ||
      text.ends_with('.') || text.ends_with('!')) {
    return false;
  }
  const std::vector<Word> words = words_of(text);
  const bool are_capitalized = std::ranges::all_of(words, [&](const Word& word) {
    return u_isupper(static_cast<UChar32>(decode_utf8(text, word.span.start).code_point)) != 0;
  });
  const bool has_small = std::ranges::any_of(text, [](char c) { return c >= 'a' && c <= 'z'; });
  return !words.empty() && are_capitalized && has_small;
}

// Whether a line ends as a statement does, or is a field of a form.
bool ends_or_is_field(std::string_view line) {
  constexpr auto kEnds = std::to_array<std::string_view>(
      {".", "!", "?", ":", "\u2026", "\u3002", "\uFF01", "\uFF1F", "\uFF1A", ")", "\"", "\u201D", "\u300D", "\u00BB"});
  return is_field(line) || std::ranges::any_of(kEnds, [&](std::string_view end) { return line.ends_with(end); });
}

// "5.15. Temporary files": the heading of a part of a part, as plain text has it.
bool is_part_heading(std::string_view text) {
  const std::string_view number = text.substr(0, numbering(text));
  return std::ranges::count(number, '.') > 1 && !text.ends_with('.');
}

// Whether a document begins with `line` as its title: a few words without a stop, alone between blank lines.
bool is_title_line(std::string_view text, Span line) {
  constexpr size_t kLongestTitle = 80;
  const size_t next = text.find_first_not_of(" \t\n", line.end);
  return line.start == 0 && next != std::string_view::npos && line.size() <= kLongestTitle &&
         text.substr(line.end, next - line.end).find("\n\n") != std::string_view::npos &&
         !ends_or_is_field(text.substr(0, line.end));
}

// Whether a pair of characters overlaps a Chinese word that only asks: "\u4EC0\u4E48" (what) in a question makes pairs
// that no document has.
bool overlaps_asking_word(std::string_view question, Span pair) {
  static const auto kWords = parts_at_spaces(
      "\u4EC0\u4E48 \u4EC0\u9EBC \u600E\u4E48 \u600E\u9EBC \u65F6\u5019 \u6642\u5019 \u54EA\u91CC \u54EA\u4E2A "
      "\u54EA\u4E9B \u591A\u5C11 \u591A\u4E45 \u53EF\u4EE5 \u80FD\u4E0D\u80FD \u662F\u5426 \u5982\u4F55 \u8C01 "
      "\u8AB0 \u5417 \u55CE \u5462");
  constexpr size_t kLongest = 9;  // bytes
  const size_t near = pair.start - std::min(pair.start, kLongest);
  const std::string_view around = question.substr(near, pair.end + kLongest - near);
  return std::ranges::any_of(kWords, [&](std::string_view word) {
    for (size_t at = around.find(word); at != std::string_view::npos; at = around.find(word, at + 1)) {
      if (near + at < pair.end && pair.start < near + at + word.size()) return true;
    }
    return false;
  });
}

// Whether a word only carries the question: what answers it does without. A month is written "May".
bool only_asks(std::string_view question, const Word& word) {
  static const auto kStems =
      parts_at_spaces("get got may might must need allow happen let want brauch brauchen bekomm bekommt findet statt");
  const char first = question[word.span.start];
  const bool is_small = first >= 'a' && first <= 'z';
  return (is_small && std::ranges::find(kStems, rough_stem(word.text)) != kStems.end()) ||
         overlaps_asking_word(question, word.span);
}

// The words of a question that its answer may have; all but stop words where nothing else is left.
std::vector<Word> words_asked_for(std::string_view question) {
  std::vector<Word> words = words_of(question);
  std::erase_if(words, [](const Word& word) { return is_stop_word(word.text); });
  std::vector<Word> asked_for = words;
  std::erase_if(asked_for, [&](const Word& word) { return only_asks(question, word); });
  return asked_for.empty() ? words : asked_for;
}

// Where the pages of a hit begin.
Result<std::map<uint64_t, int>> pages_in(const Hit& hit, Store& store) {
  std::map<uint64_t, int> pages;
  if (hit.passage.page > 0) {
    // A passage knows the page that it begins on.
    PHIAL_TRY(const auto words, store.boxes(hit.passage.content_id, hit.passage.start, hit.passage.end));
    for (const formats::WordBox& word : words) {
      const uint64_t at = pages.empty() ? hit.passage.start : word.start;
      if (pages.empty() || pages.rbegin()->second != word.page) pages.emplace(at, word.page);
    }
  }
  // Not all text has places on its page.
  for (const Hit::Part& part : hit.parts) {
    const auto after = pages.upper_bound(part.start);
    if (after == pages.begin() || std::prev(after)->second < part.page) pages.insert_or_assign(part.start, part.page);
  }
  return pages;
}

}  // namespace

float dot(std::span<const float> a, std::span<const float> b) {
  float sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

std::unordered_set<std::string> numbers_in(std::string_view text) {
  std::unordered_set<std::string> numbers;
  for (const Word& word : words_of(text)) {
    if (word.is_number) numbers.insert(word.text);
  }
  return numbers;
}

Result<Evidence> Evidence::make(std::string_view question, std::span<const Hit> hits, Store& store, Embedder& embedder,
                                size_t max_hits) {
  Evidence evidence;
  PHIAL_TRY(const auto totals, store.totals());
  evidence.library_passages_ = static_cast<int64_t>(totals.passages);
  for (const Word& word : words_asked_for(question)) {
    const std::string stem = word.is_number ? word.text : rough_stem(word.text);
    const auto same = [&](const QuestionWord& other) { return other.stem == stem; };
    if (std::any_of(evidence.question_words_.begin(), evidence.question_words_.end(), same)) continue;
    PHIAL_TRY(const int64_t passages, store.count_passages_with(word.text));
    const auto total = static_cast<double>(totals.passages);
    const double weight = std::log(1 + (total + 1) / (static_cast<double>(passages) + 1));
    const std::string_view written = question.substr(word.span.start, word.span.size());
    evidence.question_words_.push_back({stem, weight, passages, is_name(written, word.span.start == 0)});
  }

  evidence.answer_type_ = answer_type_of(question);
  std::vector<std::string> texts = {std::string(question)};
  for (size_t i = 0; i < std::min(hits.size(), max_hits); ++i) {
    const StoredPassage& passage = hits[i].passage;
    const std::string around = passage.title + "\n" + passage.heading + "\n" + passage.text;
    evidence.hit_stems_.push_back(stems_in(around));
    evidence.hit_numbers_.push_back(numbers_in(around));
    PHIAL_TRY(auto pages, pages_in(hits[i], store));
    evidence.pages_.push_back(std::move(pages));
    const auto& parts = hits[i].parts;
    auto& headings = evidence.heading_stems_.emplace_back();
    for (const Hit::Part& part : parts) headings.push_back(stems_in(headings_text(passage.title, part.heading)));
    auto spans = statements(passage.text);
    if (spans.size() > kMaxSentences * parts.size()) spans.resize(kMaxSentences * parts.size());
    for (const Span& span : spans) {
      EvidenceSentence sentence;
      sentence.hit = i;
      sentence.span = span;
      sentence.text = passage.text.substr(span.start, span.size());
      sentence.row = row_at(passage.text, span.start);
      const Hit::Part& part = hits[i].part_at(passage.start + span.start);
      sentence.part = static_cast<size_t>(&part - parts.data());
      sentence.is_statement = !is_heading(sentence.text, part.heading) && !is_question(sentence.text);
      sentence.reads_as_label = sentence.row ? names_columns(passage.text, *sentence.row)
                                             : is_label(sentence.text) || is_part_heading(sentence.text) ||
                                                   (passage.start == 0 && is_title_line(passage.text, span));
      sentence.is_description = is_description(sentence.text);
      const std::string_view words = std::string_view(sentence.text).substr(numbering(sentence.text));
      sentence.stems = stems_in(words);
      sentence.numbers = numbers_in(sentence.text);
      sentence.quantities = quantities_in(sentence.text);
      sentence.polarity = polarity_of(sentence.text);
      sentence.can_answer = can_answer(evidence.answer_type_, words);
      sentence.overlap = evidence.overlap(sentence.stems);
      auto with_headings = headings[sentence.part];
      with_headings.insert(sentence.stems.begin(), sentence.stems.end());
      sentence.place_overlap = evidence.overlap(with_headings);
      texts.push_back(sentence.text);
      evidence.sentences_.push_back(std::move(sentence));
    }
  }
  PHIAL_TRY(const auto vectors, embedder.embed(texts));
  const auto dim = static_cast<size_t>(embedder.identity().dim);
  const std::span<const float> question_vector = std::span(vectors).first(dim);
  for (size_t i = 0; i < evidence.sentences_.size(); ++i) {
    const auto vector = std::span(vectors).subspan((i + 1) * dim, dim);
    evidence.sentences_[i].vector.assign(vector.begin(), vector.end());
    evidence.sentences_[i].cosine = dot(question_vector, vector);
  }
  // What a passage is about may stand above it only.
  std::vector<PassageSentences> passages(evidence.hits());
  for (size_t i = 0; i < passages.size(); ++i) {
    passages[i].push_back(headings_text(hits[i].passage.title, hits[i].passage.heading));
  }
  for (const EvidenceSentence& sentence : evidence.sentences_) passages[sentence.hit].push_back(sentence.text);
  std::vector<std::vector<float>> read;
  if (!is_claim(question)) {
    PHIAL_TRY(read, embedder.read(question, passages));
  }
  if (!read.empty()) {
    std::vector<size_t> next(passages.size(), 1);
    for (EvidenceSentence& sentence : evidence.sentences_) {
      sentence.reading = read[sentence.hit][next[sentence.hit]++];
    }
  }
  return evidence;
}

int Evidence::page_of(size_t hit, uint64_t at) const {
  const auto after = pages_[hit].upper_bound(at);
  return after == pages_[hit].begin() ? after->second : std::prev(after)->second;
}

double Evidence::overlap(const std::unordered_set<std::string>& stems) const {
  double found = 0;
  double all = 0;
  for (const QuestionWord& word : question_words_) {
    all += word.weight;
    if (stems.contains(word.stem)) found += word.weight;
  }
  return all > 0 ? found / all : 0;
}

}  // namespace phial::rag
