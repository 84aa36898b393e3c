#include "phial/cli/word_wrap.h"

#include <utf8proc.h>

#include <algorithm>

#include "phial/base/utf8.h"

namespace phial::cli {
namespace {

constexpr int kTab = 8;
constexpr int kCodeIndent = 4;  // CommonMark, section 4.4
constexpr char32_t kEmojiVariation = 0xFE0F;

int width_of(char32_t c) { return std::max(0, utf8proc_charwidth(static_cast<utf8proc_int32_t>(c))); }

int width_of_spaces(std::string_view spaces, int column) {
  const int start = column;
  for (const char c : spaces) column += c == '\t' ? kTab - column % kTab : 1;
  return column - start;
}

// Where scripts without spaces break: around a wide character, but not before what closes or goes on, nor after what
// opens.
bool may_break_between(char32_t before, char32_t after) {
  if (before == 0 || width_of(after) == 0) return false;
  if (width_of(before) < 2 && width_of(after) < 2) return false;
  const auto first = utf8proc_category(static_cast<utf8proc_int32_t>(before));
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(after))) {
    case UTF8PROC_CATEGORY_PE:
    case UTF8PROC_CATEGORY_PF:
    case UTF8PROC_CATEGORY_PO:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_SK:
      return false;
    default:
      return first != UTF8PROC_CATEGORY_PS && first != UTF8PROC_CATEGORY_PI;
  }
}

// "-", "*", "+", "12." and "12)" of lists; "[3]", which a source begins with.
bool begins_item(std::string_view word) {
  if (word == "-" || word == "*" || word == "+" || word == "\u2022") return true;
  const bool is_source = word.starts_with("[") && word.ends_with("]");
  if (!is_source && !word.ends_with(".") && !word.ends_with(")")) return false;
  const std::string_view number = word.substr(is_source ? 1 : 0, word.size() - (is_source ? 2 : 1));
  return !number.empty() && std::ranges::all_of(number, [](char c) { return c >= '0' && c <= '9'; });
}

// The marks of the fenced code that a line with this first word opens; empty: none.
std::string_view fence_of(std::string_view word) {
  const std::string_view marks = word.substr(0, std::min(word.find_first_not_of(word.front()), word.size()));
  const bool is_fence = marks.size() >= 3 && (marks.front() == '`' || marks.front() == '~') &&
                        word.find('`', marks.size()) == std::string_view::npos;
  return is_fence ? marks : std::string_view();
}

}  // namespace

std::string WordWrap::add(std::string_view text) {
  if (columns_ <= 0) return std::string(text);
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const DecodedChar next = decode_utf8(text, at);
    add_character(text.substr(at, static_cast<size_t>(next.length)), next.code_point, out);
    at += static_cast<size_t>(next.length);
  }
  return out;
}

std::string WordWrap::finish() {
  std::string out;
  end_word(out);
  *this = WordWrap(columns_);
  return out;
}

void WordWrap::add_character(std::string_view bytes, char32_t c, std::string& out) {
  if (c == '\n') return end_line(out);
  if (c == ' ' || c == '\t' || c == '\r') {
    end_word(out);
    spaces_ += bytes;
    return;
  }
  const bool is_parted = last_ == 0 || utf8proc_grapheme_break_stateful(static_cast<utf8proc_int32_t>(last_),
                                                                        static_cast<utf8proc_int32_t>(c), &cluster_);
  if (is_parted && may_break_between(last_, c)) {
    end_word(out);
  } else if (goes_on_ || word_width_ >= columns_) {  // no line has room for it: its end need not be waited for
    end_word(out);
    goes_on_ = true;
  }
  word_ += bytes;
  // A sign that is shown as an emoji is as wide as one.
  word_width_ += c == kEmojiVariation && width_of(last_) == 1 ? 1 : width_of(c);
  last_ = c;
}

void WordWrap::end_word(std::string& out) {
  if (word_.empty()) return;
  if (!has_word_) begin_line();
  const int spaces_width = width_of_spaces(spaces_, column_);
  const bool fits = column_ + spaces_width + word_width_ <= columns_;
  if (!is_kept_ && !goes_on_ && has_word_ && !fits && column_ > hanging_) {
    out += "\n" + std::string(static_cast<size_t>(hanging_), ' ');
    column_ = hanging_;
  } else {
    out += spaces_;
    column_ += spaces_width;
  }
  out += word_;
  column_ += word_width_;
  if (column_ > columns_) column_ = (column_ - 1) % columns_ + 1;  // the terminal went on in its next line
  has_word_ = true;
  goes_on_ = false;
  spaces_.clear();
  word_.clear();
  word_width_ = 0;
  last_ = 0;
  cluster_ = 0;
}

// The first word tells what the line is.
void WordWrap::begin_line() {
  const int indent = width_of_spaces(spaces_, 0);
  hanging_ = indent;
  if (!fence_.empty()) {
    is_kept_ = true;
    // What closes has no language behind it (CommonMark, section 4.5).
    if (word_.starts_with(fence_) && word_.find_first_not_of(fence_.front()) == std::string::npos) fence_.clear();
  } else if (fence_ = fence_of(word_); !fence_.empty() || word_.starts_with("|")) {
    is_kept_ = true;
  } else if ((after_gap_ || after_code_) && indent >= item_indent_ + kCodeIndent) {
    is_kept_ = true;
    after_code_ = true;
    return;
  } else if (begins_item(word_)) {
    hanging_ = indent + word_width_ + 1;
    item_indent_ = hanging_;
  } else if (after_gap_ && indent < item_indent_) {
    item_indent_ = 0;
  }
  after_code_ = false;
  hanging_ = hanging_ < columns_ / 2 ? hanging_ : 0;  // no column of single words
}

void WordWrap::end_line(std::string& out) {
  end_word(out);
  if (is_kept_) out += spaces_;
  out += '\n';
  spaces_.clear();
  after_gap_ = !has_word_;
  column_ = 0;
  has_word_ = is_kept_ = false;
}

}  // namespace phial::cli
