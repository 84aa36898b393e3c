#include "phial/rag/sentences.h"

#include <unicode/brkiter.h>
#include <unicode/locid.h>
#include <unicode/utext.h>

#include <algorithm>
#include <array>
#include <memory>
#include <string>

namespace phial::rag {
namespace {

bool is_space(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }

// Words whose full stop does not end a sentence, in lower case and without that stop.
constexpr std::array<std::string_view, 26> kAbbreviations = {
    "e.g", "i.e", "fig", "figs", "vs", "dr", "mr",  "mrs", "ms", "prof", "no",  "al",  "approx",
    "eq",  "sec", "vol", "pp",   "cf", "st", "inc", "ltd", "ca", "z.b",  "bzw", "d.h", "nr"};

bool ends_in_abbreviation(std::string_view sentence) {
  while (!sentence.empty() && is_space(sentence.back())) sentence.remove_suffix(1);
  if (sentence.empty() || sentence.back() != '.') return false;
  sentence.remove_suffix(1);
  size_t at = sentence.size();
  while (at > 0 && !is_space(sentence[at - 1]) && sentence[at - 1] != '(') --at;
  std::string word(sentence.substr(at));
  std::transform(word.begin(), word.end(), word.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return std::find(kAbbreviations.begin(), kAbbreviations.end(), word) != kAbbreviations.end();
}

std::vector<Span> whole(std::string_view text) {
  const Span all = trim(text, {0, text.size()});
  return all.size() == 0 ? std::vector<Span>{} : std::vector<Span>{all};
}

}  // namespace

Span trim(std::string_view text, Span span) {
  while (span.start < span.end && is_space(text[span.start])) ++span.start;
  while (span.end > span.start && is_space(text[span.end - 1])) --span.end;
  return span;
}

std::vector<Span> split_sentences(std::string_view text) {
  // Same length in bytes, so that offsets stay true. A blank line still ends a sentence.
  std::string flat(text);
  for (size_t i = 0; i < flat.size(); ++i) {
    if (flat[i] == '\n' && (i + 1 >= flat.size() || flat[i + 1] != '\n') && (i == 0 || text[i - 1] != '\n')) {
      flat[i] = ' ';
    }
  }
  UErrorCode status = U_ZERO_ERROR;
  const std::unique_ptr<icu::BreakIterator> breaks(
      icu::BreakIterator::createSentenceInstance(icu::Locale::getRoot(), status));
  if (U_FAILURE(status)) return whole(text);
  UText* view = utext_openUTF8(nullptr, flat.data(), static_cast<int64_t>(flat.size()), &status);
  if (U_FAILURE(status)) return whole(text);
  breaks->setText(view, status);
  std::vector<Span> sentences;
  bool joins_previous = false;
  int32_t start = breaks->first();
  for (int32_t end = breaks->next(); U_SUCCESS(status) && end != icu::BreakIterator::DONE;
       start = end, end = breaks->next()) {
    const Span span = trim(text, {static_cast<size_t>(start), static_cast<size_t>(end)});
    if (span.size() == 0) continue;
    if (joins_previous) {
      sentences.back().end = span.end;
    } else {
      sentences.push_back(span);
    }
    joins_previous = ends_in_abbreviation(text.substr(span.start, span.size()));
  }
  utext_close(view);
  return U_FAILURE(status) ? whole(text) : sentences;
}

}  // namespace phial::rag
