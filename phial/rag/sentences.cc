#include "phial/rag/sentences.h"

#include <unicode/brkiter.h>
#include <unicode/locid.h>
#include <unicode/uchar.h>
#include <unicode/utext.h>

#include <algorithm>
#include <array>
#include <functional>
#include <memory>
#include <string>

#include "phial/base/utf8.h"

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
  const std::string_view word = sentence.substr(at);
  // "A. Smith"; that "vitamin A. It" is joined as well does less harm.
  if (word.size() == 1 && word[0] >= 'A' && word[0] <= 'Z' && word != "I") return true;
  return std::find(kAbbreviations.begin(), kAbbreviations.end(), ascii_lower(word)) != kAbbreviations.end();
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// The bytes of "12." or "b)" that `text` begins with, 0 if it does not.
size_t item_number(std::string_view text) {
  constexpr size_t kMostDigits = 3;
  size_t length = 0;
  while (length < text.size() && is_digit(text[length])) ++length;
  if (length == 0 && !text.empty() && is_letter(text[0])) length = 1;
  const bool is_closed = length < text.size() && (text[length] == '.' || text[length] == ')');
  return length > 0 && length <= kMostDigits && is_closed ? length + 1 : 0;
}

constexpr auto kBullets = std::to_array<std::string_view>({"-", "*", "+", "\u2022", "\u25E6", "\u25AA", "\u2013"});

bool begins_item(std::string_view line) {
  while (!line.empty() && is_space(line.front()) && line.front() != '\n') line.remove_prefix(1);
  // An initial ("A. Smith") is no item.
  const bool is_initial = line.size() > 1 && line[0] >= 'A' && line[0] <= 'Z' && line[1] == '.';
  size_t marker = is_initial ? 0 : item_number(line);
  for (const std::string_view bullet : kBullets) {
    if (line.starts_with(bullet)) marker = bullet.size();
  }
  return marker > 0 && marker < line.size() && (line[marker] == ' ' || line[marker] == '\t');
}

constexpr auto kQuestionMarks = std::to_array<std::string_view>({"?", "\uFF1F", "\u061F"});  // fullwidth, Arabic

// The bytes of "Q3: ", one word with or without a number; 0: there is no such label, or nothing behind it.
size_t question_label(std::string_view sentence) {
  constexpr int kLongestWord = 10;
  size_t at = 0;
  for (int letters = 0; at < sentence.size(); ++letters) {
    const DecodedChar c = decode_utf8(sentence, at);
    if (!c.valid || u_isalpha(static_cast<UChar32>(c.code_point)) == 0) break;
    if (letters == kLongestWord) return 0;
    at += static_cast<size_t>(c.length);
  }
  if (at == 0) return 0;
  if (at < sentence.size() && sentence[at] == ' ') ++at;
  for (int digits = 0; at < sentence.size() && is_digit(sentence[at]); ++digits, ++at) {
    if (digits == 3) return 0;
  }
  for (const std::string_view colon : {":", "\uFF1A"}) {  // fullwidth
    if (sentence.substr(at).starts_with(colon)) return at + colon.size() < sentence.size() ? at + colon.size() : 0;
  }
  return 0;
}

// "12. Juni", "19. Jahrhundert": German writes a stop behind numbers that count.
bool is_ordinal(std::string_view sentence, std::string_view rest) {
  constexpr auto kCounted = std::to_array<std::string_view>(
      {"Januar",   "Jan.",    "Februar",  "Feb.",       "M\u00E4rz",   "April",   "Apr.",    "Mai",
       "Juni",     "Juli",    "August",   "Aug.",       "September",   "Sept.",   "Oktober", "Okt.",
       "November", "Nov.",    "Dezember", "Dez.",       "Jahrhundert", "Auflage", "Klasse",  "Stock",
       "Etage",    "Kapitel", "Platz",    "Lebensjahr", "Geburtstag",  "Quartal", "Tag",     "Woche"});
  const size_t word = sentence.find_last_of(" (\n") + 1;  // 0 where there is none
  const std::string_view last = sentence.substr(word);
  const bool is_number = last.size() >= 2 && last.size() <= 3 && last.back() == '.' &&
                         last.find_first_not_of("0123456789") == last.size() - 1;
  while (!rest.empty() && is_space(rest.front())) rest.remove_prefix(1);
  return is_number && std::ranges::any_of(kCounted, [&](std::string_view noun) { return rest.starts_with(noun); });
}

// "5.15.", "9.2.3."
bool is_part_number(std::string_view text) {
  return is_digit(text.front()) && text.ends_with('.') && std::ranges::count(text, '.') > 1 &&
         text.find_first_not_of("0123456789.") == std::string_view::npos;
}

// The stop in "the 2.X line" stands within a word, as the marks in "?day=sunday", "a != b" and "Yahoo! accounts" do.
bool ends_within(std::string_view sentence, std::string_view rest) {
  if (sentence.ends_with('?') || sentence.ends_with('!')) {
    const size_t next = rest.find_first_not_of(" \t\r\n");
    if (next == std::string_view::npos) return false;
    if (next == 0) return is_letter(rest[0]) || is_digit(rest[0]) || rest[0] == '=';
    return sentence.ends_with('!') && rest[next] >= 'a' && rest[next] <= 'z';
  }
  return sentence.size() > 1 && sentence.back() == '.' && is_digit(sentence[sentence.size() - 2]) && !rest.empty() &&
         (is_digit(rest.front()) || is_letter(rest.front()));
}

bool begins_small(std::string_view text) {
  return !text.empty() && u_islower(static_cast<UChar32>(decode_utf8(text, 0).code_point)) != 0;
}

// Whether a line ends although the first word of the next would have found room in it, and plenty: a title, a field of
// a form, a line of an address. What goes on with a small letter was wrapped, however early.
bool ends_by_intent(std::string_view line, std::string_view next, size_t width) {
  constexpr size_t kRagged = 8;  // of the width the eighth part
  while (!next.empty() && is_space(next.front())) next.remove_prefix(1);
  if (next.empty() || begins_small(next)) return false;
  const size_t word = std::min(next.find_first_of(" \t"), next.size());
  return line.size() + 1 + word + width / kRagged < width;
}

// "before moving in: cash is not accepted" goes on with a sentence; "level: WARNING" and "max size = 6" are settings.
bool goes_on_small(std::string_view line) {
  line.remove_prefix(trim(line, {0, line.size()}).start);
  const size_t end = line.find_first_of(":=");
  return begins_small(line) && end < line.size() && line[end] == ':' && line.substr(0, end).find(' ') < end;
}

// How wide a paragraph is set: its longest line, of several the second, since one may hold what cannot be broken.
size_t width_of(const std::vector<std::string_view>& lines) {
  constexpr size_t kSeveral = 4;
  std::vector<size_t> sizes(lines.size());
  std::ranges::transform(lines, sizes.begin(), [](std::string_view line) { return line.size(); });
  std::ranges::sort(sizes, std::greater());
  return sizes[sizes.size() < kSeveral ? 0 : 1];
}

// `text` with single line ends as spaces, of the same length in bytes, so that offsets stay true. A blank line, the
// next item of a list, a row of a table and a line that was ended by intent still end a sentence.
std::string unwrapped(std::string_view text) {
  std::string flat(text);
  std::vector<std::string_view> lines;  // of a paragraph
  const auto flatten = [&] {
    const size_t width = lines.size() > 1 ? width_of(lines) : 0;
    for (size_t i = 0; i + 1 < lines.size(); ++i) {
      if (is_row(lines[i]) || is_row(lines[i + 1]) || begins_item(lines[i + 1]) ||
          (is_field(lines[i]) && is_field(lines[i + 1]) && !goes_on_small(lines[i + 1])) ||
          ends_by_intent(lines[i], lines[i + 1], width)) {
        continue;
      }
      flat[static_cast<size_t>(lines[i].data() + lines[i].size() - text.data())] = ' ';
    }
    lines.clear();
  };
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    if (end == at) flatten();
    if (end > at) lines.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  flatten();
  return flat;
}

std::vector<Span> whole(std::string_view text) {
  const Span all = trim(text, {0, text.size()});
  return all.size() == 0 ? std::vector<Span>{} : std::vector<Span>{all};
}

}  // namespace

size_t numbering(std::string_view line) {
  size_t end = 0;
  for (const std::string_view bullet : kBullets) {
    if (line.starts_with(bullet)) end = bullet.size();
  }
  if (end == 0) {
    const bool is_open = line.starts_with('(');
    constexpr size_t kMostDigits = 3;  // more are a year
    size_t digits = 0;
    bool is_dotted = false;
    for (end = is_open ? 1 : 0; end < line.size() && (is_digit(line[end]) || (line[end] == '.' && digits > 0)); ++end) {
      digits = is_digit(line[end]) ? digits + 1 : 0;
      is_dotted = is_dotted || line[end] == '.';
      if (digits > kMostDigits) return 0;
    }
    if (end == 0 || (is_open && end == 1)) return 0;
    const bool is_closed = end < line.size() && line[end] == ')';
    if (is_closed) ++end;
    // "12 May" counts; "3.5 litres" too.
    if (!is_closed && (is_open || !is_dotted || line[end - 1] != '.')) return 0;
  }
  const size_t mark = end;
  while (end < line.size() && (line[end] == ' ' || line[end] == '\t')) ++end;
  return end > mark && end < line.size() ? end : 0;
}

bool has_question_mark(std::string_view text) {
  return std::ranges::any_of(kQuestionMarks, [&](std::string_view mark) { return text.find(mark) != text.npos; });
}

bool is_question(std::string_view sentence) {
  return std::ranges::any_of(kQuestionMarks, [&](std::string_view mark) { return sentence.ends_with(mark); });
}

bool is_numbered_question(std::string_view sentence) {
  if (!is_question(sentence)) return false;
  const bool is_bulleted =
      std::ranges::any_of(kBullets, [&](std::string_view bullet) { return sentence.starts_with(bullet); });
  return question_label(sentence) > 0 || (!is_bulleted && numbering(sentence) > 0);
}

bool begins_line(std::string_view text, size_t at) {
  while (at > 0 && is_space(text[at - 1]) && text[at - 1] != '\n') --at;
  return at == 0 || text[at - 1] == '\n';
}

bool is_row(std::string_view line) {
  if (line.find(" | ") != std::string_view::npos) return true;
  constexpr size_t kLongestName = 80;
  size_t named = 0;  // a value may hold a semicolon, or have no name
  for (bool is_first = true; !line.empty(); is_first = false) {
    const size_t end = std::min(line.find("; "), line.size());
    const size_t colon = line.find(": ");
    const bool is_named = colon > 0 && colon < end && colon <= kLongestName;
    if (is_first && !is_named) return false;
    named += is_named ? 1 : 0;
    line.remove_prefix(std::min(end + 2, line.size()));
  }
  return named > 1;
}

bool is_field(std::string_view line) {
  constexpr size_t kLongestName = 40, kMostSpaces = 3;
  const Span span = trim(line, {0, line.size()});
  line = line.substr(span.start, span.size());
  const size_t end = line.find_first_of(":=,;?!");
  if (line.starts_with('[') && line.ends_with(']')) return true;
  if (end == 0 || end > kLongestName || end == std::string_view::npos) return false;
  const auto spaces = static_cast<size_t>(std::ranges::count(line.substr(0, end), ' '));
  const bool is_named = line[end] == ':' && (end + 1 == line.size() || line[end + 1] == ' ');
  return (is_named || line[end] == '=') && spaces <= kMostSpaces;
}

std::optional<size_t> row_at(std::string_view text, size_t at) {
  const size_t before = at == 0 ? std::string_view::npos : text.rfind('\n', at - 1);
  const size_t start = before == std::string_view::npos ? 0 : before + 1;
  const size_t end = std::min(text.find('\n', at), text.size());
  return is_row(text.substr(start, end - start)) ? std::optional(start) : std::nullopt;
}

Span trim(std::string_view text, Span span) {
  while (span.start < span.end && is_space(text[span.start])) ++span.start;
  while (span.end > span.start && is_space(text[span.end - 1])) --span.end;
  return span;
}

std::vector<Span> split_sentences(std::string_view text) {
  const std::string flat = unwrapped(text);
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
    const std::string_view sentence = text.substr(span.start, span.size());
    const std::string_view rest = text.substr(span.end);
    // Of what follows: "12." or "5.15."
    const bool is_number = item_number(sentence) == sentence.size() || is_part_number(sentence);
    const bool is_parted = rest.substr(0, rest.find_first_not_of(" \t\n")).find("\n\n") != std::string_view::npos;
    joins_previous = (is_number && begins_line(text, span.start)) ||
                     (!is_parted && (is_number || ends_in_abbreviation(sentence) || ends_within(sentence, rest) ||
                                     is_ordinal(sentence, rest)));
  }
  utext_close(view);
  return U_FAILURE(status) ? whole(text) : sentences;
}

}  // namespace phial::rag
