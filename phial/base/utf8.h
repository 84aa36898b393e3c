// UTF-8: decode, validate, and cut only at character borders.
//
// Malformed input never fails: each maximal malformed part counts as one U+FFFD, as the Unicode standard (section 3.9,
// "substitution of maximal subparts") and web browsers do.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace phial {

inline constexpr char32_t kReplacement = 0xFFFD;

struct DecodedChar {
  char32_t code_point = kReplacement;
  int length = 1;      // bytes taken, at least 1
  bool valid = false;  // false: malformed bytes stood here
};

// The character that starts at text[at]. Promise: at < text.size().
DecodedChar decode_utf8(std::string_view text, size_t at);

bool is_valid_utf8(std::string_view text);

void append_utf8(std::string& to, char32_t code_point);

// `text` with malformed parts replaced by U+FFFD.
std::string repair_utf8(std::string_view text);

// The length of the longest prefix that does not end inside a character: what a stream may already show. Bytes that can
// no longer become a character count as whole.
size_t whole_utf8_prefix(std::string_view text);

// `text` as an error message may show it: on one line, control characters written as \xNN, malformed parts replaced,
// cut with an ellipsis at a character border after `max_bytes`.
std::string printable(std::string_view text, size_t max_bytes = 80);

// printable(text) in single quotes: a name in an error message.
std::string in_quotes(std::string_view text);

// `text` with A to Z as a to z; every other byte as it is.
std::string ascii_lower(std::string_view text);

// The largest character border <= at.
size_t utf8_floor(std::string_view text, size_t at);

}  // namespace phial
