// A small part of the Unicode bidirectional algorithm, backwards: numbers and words in other scripts keep their order
// within what is turned around.
#include "phial/documents/readers/page_direction.h"

#include <algorithm>
#include <cmath>

#include "phial/base/utf8.h"

namespace phial::documents {
namespace {

constexpr size_t kFewEven = 3;  // different words of one advance: then the font is so

bool runs_left(char32_t c) {
  return (c >= 0x590 && c < 0x900) || (c >= 0xFB1D && c < 0xFE00) || (c >= 0xFE70 && c < 0xFEFF);
}

bool is_digit(char32_t c) { return (c >= '0' && c <= '9') || (c >= 0x660 && c <= 0x669) || (c >= 0x6F0 && c <= 0x6F9); }

bool is_letter_to_right(char32_t c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
         (c >= 0xC0 && !runs_left(c) && !(c >= 0x2000 && c < 0x3000));
}

bool keeps_order(char32_t c) { return is_digit(c) || is_letter_to_right(c); }

bool same_advance(float a, float b, float tolerance) { return std::fabs(a - b) <= tolerance * std::max(a, b); }

bool holds_right_to_left(std::span<const Letter> word) {
  return std::any_of(word.begin(), word.end(),
                     [](const Letter& one) { return runs_left(one.code_unit) && !is_digit(one.code_unit); });
}

// Three letters or more that run left, all of one advance.
bool is_even(std::span<const Letter> word) {
  const Letter* first = nullptr;
  size_t count = 0;
  for (const Letter& letter : word) {
    if (!runs_left(letter.code_unit)) continue;
    if (first == nullptr) first = &letter;
    if (!same_advance(letter.advance, first->advance, 0.005F)) return false;
    ++count;
  }
  return count >= 3;
}

long advance_key(std::span<const Letter> word, float font_size) {
  const auto first = std::find_if(word.begin(), word.end(), [](const Letter& one) { return runs_left(one.code_unit); });
  return first == word.end() ? 0 : std::lround(first->advance / std::max(font_size, 0.1F) * 1000);
}

std::u16string as_given(std::span<const Letter> word) {
  std::u16string text;
  for (const Letter& letter : word) text.push_back(letter.code_unit);
  return text;
}

// Lam and alef drawn as one shape are named in reading order.
bool is_lam_alef(const Letter& first, const Letter& second) {
  const char16_t alef = second.code_unit;
  return first.code_unit == 0x644 && (alef == 0x622 || alef == 0x623 || alef == 0x625 || alef == 0x627) &&
         same_advance(first.advance, second.advance, 0.03F);
}

// How many letters from `at` on keep their order: a number or foreign word with the signs inside it, a ligature, or
// one.
size_t group_at(std::span<const Letter> word, size_t at) {
  if (at + 1 < word.size() && is_lam_alef(word[at], word[at + 1])) return 2;
  if (!keeps_order(word[at].code_unit)) return 1;
  size_t end = at + 1;
  for (size_t i = end; i < word.size() && !(runs_left(word[i].code_unit) && !is_digit(word[i].code_unit)); ++i) {
    if (keeps_order(word[i].code_unit)) end = i + 1;
  }
  return end - at;
}

enum class Script { kNone, kToRight, kToLeft };

struct LetterCount {
  size_t to_left = 0, to_right = 0;
  Script script() const {
    if (to_left + to_right == 0) return Script::kNone;
    return to_left >= to_right ? Script::kToLeft : Script::kToRight;
  }
};

LetterCount count_letters(std::string_view word) {
  LetterCount count;
  for (size_t at = 0; at < word.size();) {
    const DecodedChar c = decode_utf8(word, at);
    if (runs_left(c.code_point) && !is_digit(c.code_point)) ++count.to_left;
    if (is_letter_to_right(c.code_point)) ++count.to_right;
    at += static_cast<size_t>(c.length);
  }
  return count;
}

bool has_digit(std::string_view word) {
  return std::any_of(word.begin(), word.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// Turns the words [first, last) around. Words that run right stay in their order where they stand together.
void turn_around(std::vector<PageWord>& line, size_t first, size_t last, const std::vector<Script>& scripts) {
  std::vector<PageWord> turned;
  bool space_before = line[last - 1].space_after;
  for (size_t end = last; end > first;) {
    size_t begin = end - 1;
    // A number right of a word that runs right belongs to it.
    size_t foreign = end;
    for (size_t i = end; i > first && (scripts[i - 1] == Script::kToRight ||
                                       (scripts[i - 1] == Script::kNone && has_digit(line[i - 1].text)));
         --i) {
      if (scripts[i - 1] == Script::kToRight) foreign = i - 1;
    }
    begin = std::min(begin, foreign);
    const bool space_left_of_it = begin > first ? line[begin - 1].space_after : space_before;
    for (size_t i = begin; i < end; ++i) turned.push_back(line[i]);
    turned.back().space_after = space_left_of_it;
    end = begin;
  }
  std::move(turned.begin(), turned.end(), line.begin() + static_cast<ptrdiff_t>(first));
}

}  // namespace

void LetterOrder::learn(std::span<const Letter> word, float font_size) {
  if (!holds_right_to_left(word) || !is_even(word)) return;
  auto& same = even_words_[advance_key(word, font_size)];
  const std::u16string text = as_given(word);
  if (same.size() < kFewEven && std::find(same.begin(), same.end(), text) == same.end()) same.push_back(text);
}

std::u16string LetterOrder::restore(std::span<const Letter> word, float font_size) const {
  std::u16string text = as_given(word);
  const bool has_pairs = std::any_of(text.begin(), text.end(), [](char16_t c) { return c >= 0xD800 && c < 0xE000; });
  if (has_pairs || !holds_right_to_left(word)) return text;
  if (is_even(word)) {
    const auto same = even_words_.find(advance_key(word, font_size));
    if (same == even_words_.end() || same->second.size() < kFewEven) return text;
  }
  std::u16string turned;
  for (size_t at = 0; at < text.size();) {
    const size_t length = group_at(word, at);
    turned.insert(0, text, at, length);
    at += length;
  }
  return turned;
}

void order_words(std::vector<PageWord>& line) {
  std::vector<Script> scripts;
  LetterCount all;
  for (const PageWord& word : line) {
    const LetterCount count = count_letters(word.text);
    scripts.push_back(count.script());
    all.to_left += count.to_left;
    all.to_right += count.to_right;
  }
  if (all.to_left == 0) return;
  if (all.script() == Script::kToLeft) return turn_around(line, 0, line.size(), scripts);
  for (size_t i = 0; i < line.size(); ++i) {
    if (scripts[i] != Script::kToLeft) continue;
    size_t last = i;
    for (size_t next = i; next < line.size() && scripts[next] != Script::kToRight; ++next) {
      if (scripts[next] == Script::kToLeft) last = next;
    }
    turn_around(line, i, last + 1, scripts);
    i = last;
  }
}

bool is_right_to_left(std::string_view word) {
  for (size_t at = 0; at < word.size();) {
    const DecodedChar c = decode_utf8(word, at);
    if (runs_left(c.code_point)) return true;
    at += static_cast<size_t>(c.length);
  }
  return false;
}

}  // namespace phial::documents
