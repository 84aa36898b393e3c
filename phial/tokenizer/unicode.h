// Character classes as the pre-tokenizers' regular expressions use them: \p{L}, \p{N}, \s.
//
// Bytes that are not UTF-8 are characters of kind kOther, one maximal malformed part each.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "phial/base/utf8.h"

namespace phial::tokenizer {

enum class CharKind : uint8_t { kOther, kLetter, kNumber, kSpace, kNewline };  // kNewline: \r and \n

inline bool is_space(CharKind kind) { return kind >= CharKind::kSpace; }

struct Char {
  CharKind kind = CharKind::kOther;
  uint8_t length = 1;  // bytes
};

// Unicode's White_Space property, which is what \s means in the engines that models were trained with.
bool is_white_space(char32_t c);
CharKind kind_of(char32_t c);  // any code point

namespace ascii {
constexpr std::array<CharKind, 128> make_kinds() {
  std::array<CharKind, 128> kinds{};
  for (char32_t c = 0; c < 128; ++c) {
    const char32_t lower = c | 0x20;
    if (lower >= 'a' && lower <= 'z') kinds[c] = CharKind::kLetter;
    if (c >= '0' && c <= '9') kinds[c] = CharKind::kNumber;
    if (c == ' ' || (c >= 9 && c <= 13)) kinds[c] = CharKind::kSpace;
    if (c == '\r' || c == '\n') kinds[c] = CharKind::kNewline;
  }
  return kinds;
}
inline constexpr std::array<CharKind, 128> kKinds = make_kinds();
}  // namespace ascii

// The character at text[at]. Promise: at < text.size().
inline Char classify(std::string_view text, size_t at) {
  const auto byte = static_cast<unsigned char>(text[at]);
  if (byte < 128) return {ascii::kKinds[byte], 1};
  const DecodedChar c = decode_utf8(text, at);
  return {c.valid ? kind_of(c.code_point) : CharKind::kOther, static_cast<uint8_t>(c.length)};
}

}  // namespace phial::tokenizer
