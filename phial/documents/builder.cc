#include "phial/documents/builder.h"

#include <algorithm>
#include <utility>

#include "phial/base/utf8.h"

namespace phial::documents {
namespace {

constexpr size_t kMaxWords = 500'000;  // some two thousand dense pages; a box costs far more on the pipe than its word
constexpr size_t kMaxWarnings = 50;
constexpr size_t kMaxFigures = 2000;

enum class Class { kText, kSpace, kBreak, kNothing };

Class ascii_class(char32_t c) {
  if (c == '\n' || c == '\v' || c == '\f') return Class::kBreak;
  if (c == ' ' || c == '\t') return Class::kSpace;
  return c < 0x20 || c == 0x7F ? Class::kNothing : Class::kText;
}

// What a reader of the page would see of this character.
Class class_of(char32_t c) {
  const auto within = [c](char32_t low, char32_t high) { return c >= low && c <= high; };
  if (c < 0x80) return ascii_class(c);
  if (c == 0x85 || c == 0x2028 || c == 0x2029) return Class::kBreak;
  if (c < 0xA0) return Class::kNothing;
  if (c == 0xA0 || within(0x2000, 0x200A) || c == 0x202F || c == 0x205F || c == 0x3000) return Class::kSpace;
  // U+200C and U+200D stay: Persian and many Indic scripts spell with them.
  if (c == 0xAD || c == 0x200B || c == 0x200E || c == 0x200F || within(0x202A, 0x202E) || within(0x2060, 0x206F) ||
      c == 0xFEFF || within(0xFFF9, 0xFFFB) || within(0xE0000, 0xE007F)) {
    return Class::kNothing;
  }
  const bool noncharacter = within(0xFDD0, 0xFDEF) || (c & 0xFFFE) == 0xFFFE;
  return noncharacter ? Class::kNothing : Class::kText;
}

// How long the terminal's command (colours and the like) at raw[at] is; 0 if none starts there.
size_t terminal_command(std::string_view raw, size_t at) {
  if (!raw.substr(at).starts_with("\x1B[")) return 0;
  const size_t end = raw.find_first_not_of("0123456789;?", at + 2);
  const bool closed = end != std::string_view::npos && raw[end] >= '@' && raw[end] <= '~';
  return closed ? end + 1 - at : 0;
}

void trim_blank_lines(std::string& text) {
  const size_t first = text.find_first_not_of(" \t\n");
  if (first == std::string::npos) {
    text.clear();
    return;
  }
  const size_t line = text.rfind('\n', first);
  text.erase(0, line == std::string::npos ? 0 : line + 1);
  text.erase(text.find_last_not_of(" \t\n") + 1);
}

}  // namespace

void append_raised(std::string& text, std::string_view raised, bool is_reference) {
  const bool is_number = !raised.empty() && raised.find_first_not_of("0123456789-+.,") == std::string_view::npos;
  const bool after_sign = !text.empty() && text.back() != ' ' && text.back() != '\n';
  if (!is_number || !after_sign) {
    text += raised;
  } else if (is_reference) {
    text.append("[").append(raised).append("]");
  } else {
    text.append("^").append(raised);
  }
}

std::string clean_text(std::string_view raw, WhiteSpace white_space) {
  std::string clean;
  clean.reserve(raw.size());
  char pending = 0;  // kCollapse: the separator owed before the next visible character
  for (size_t at = 0; at < raw.size();) {
    if (const size_t command = terminal_command(raw, at); command > 0) {
      at += command;
      continue;
    }
    const DecodedChar c = decode_utf8(raw, at);
    const std::string_view bytes = raw.substr(at, static_cast<size_t>(c.length));
    at += static_cast<size_t>(c.length);
    char32_t code_point = c.code_point;
    if (code_point == '\r') {
      if (at < raw.size() && raw[at] == '\n') continue;
      code_point = '\n';
    }
    const Class kind = class_of(code_point);
    if (kind == Class::kNothing) continue;
    if (kind == Class::kText) {
      if (pending != 0 && !clean.empty()) clean.push_back(pending);
      pending = 0;
      if (c.valid) {
        clean.append(bytes);
      } else {
        append_utf8(clean, kReplacement);
      }
    } else if (white_space == WhiteSpace::kKeep) {
      clean.push_back(kind == Class::kBreak ? '\n' : code_point == '\t' ? '\t' : ' ');
    } else if (kind == Class::kBreak) {
      pending = '\n';
    } else if (pending == 0) {
      pending = ' ';
    }
  }
  if (white_space == WhiteSpace::kKeep) trim_blank_lines(clean);
  return clean;
}

DocumentBuilder::DocumentBuilder(std::string format, uint64_t max_text_bytes) : max_text_bytes_(max_text_bytes) {
  document_.format = std::move(format);
}

void DocumentBuilder::add(const BlockPlace& place, std::string_view raw, WhiteSpace white_space) {
  if (full_) return;
  // Cut before cleaning, which would copy all of it; cleaning at most triples a byte.
  const std::string clean = clean_text(raw.substr(0, utf8_floor(raw, max_text_bytes_ + 1)), white_space);
  begin(place);
  text(clean);
  end();
}

void DocumentBuilder::begin(const BlockPlace& place) {
  if (full_) return;
  open_ = true;
  words_before_ = document_.words.size();
  block_ = {.kind = place.kind, .level = place.level, .page = place.page};
  block_.start = document_.text.empty() ? 0 : document_.text.size() + 2;
  if (!document_.text.empty()) document_.text.append("\n\n");
}

void DocumentBuilder::text(std::string_view clean) {
  if (full_ || !open_) return;
  const uint64_t room = max_text_bytes_ - std::min<uint64_t>(max_text_bytes_, document_.text.size());
  if (clean.size() > room) {
    clean = clean.substr(0, utf8_floor(clean, static_cast<size_t>(room)));
    document_.text.append(clean);
    end();
    full_ = true;
    warn("only the first " + std::to_string(max_text_bytes_ >> 20) + " MiB of text were read");
    return;
  }
  document_.text.append(clean);
}

void DocumentBuilder::word(std::string_view clean, const WordBox& box) {
  if (full_ || !open_ || clean.empty()) return;
  const uint64_t start = document_.text.size();
  text(clean);
  if (full_) return;
  if (document_.words.size() >= kMaxWords) {
    if (!std::exchange(words_cut_, true))
      warn("word boxes from page " + std::to_string(box.page) + " on were left out");
    return;
  }
  document_.words.push_back(box);
  document_.words.back().start = start;
  document_.words.back().end = document_.text.size();
}

void DocumentBuilder::end() {
  if (!open_ || full_) return;
  open_ = false;
  block_.end = document_.text.size();
  if (block_.end > block_.start) {
    document_.blocks.push_back(block_);
    return;
  }
  document_.text.resize(block_.start == 0 ? 0 : block_.start - 2);
  document_.words.resize(words_before_);
}

void DocumentBuilder::add_figure(const formats::Figure& figure) {
  auto& all = document_.figures;
  if (figure.start >= figure.end || figure.end > document_.text.size()) return;  // its text was cut off
  if (all.size() >= kMaxFigures) {
    warn("there are more than " + std::to_string(kMaxFigures) + " figures: the others were left out");
    return;
  }
  const auto after = std::ranges::upper_bound(all, figure.start, {}, &formats::Figure::start);
  all.insert(after, figure);
}

void DocumentBuilder::warn(std::string_view warning) { add_line(warning, document_.warnings); }
void DocumentBuilder::leave_out(std::string_view what) { add_line(what, document_.left_out); }

void DocumentBuilder::add_line(std::string_view text, std::vector<std::string>& all) {
  std::string line = clean_text(text, WhiteSpace::kCollapse);
  std::replace(line.begin(), line.end(), '\n', ' ');
  if (all.size() < kMaxWarnings && std::find(all.begin(), all.end(), line) == all.end()) all.push_back(std::move(line));
}

void DocumentBuilder::set_title(std::string_view title) {
  if (!document_.title.empty()) return;
  constexpr size_t kLongestTitle = 300;
  std::string line = clean_text(title.substr(0, 4 * kLongestTitle), WhiteSpace::kCollapse);
  std::replace(line.begin(), line.end(), '\n', ' ');
  if (line.size() > kLongestTitle) line.resize(utf8_floor(line, kLongestTitle));
  document_.title = std::move(line);
}

Result<ExtractedDocument> DocumentBuilder::finish() && {
  end();
  if (document_.blocks.empty()) {
    return Error{Code::kUnsupported, "the " + document_.format + " file holds no text", "there is nothing to index"};
  }
  return std::move(document_);
}

}  // namespace phial::documents
