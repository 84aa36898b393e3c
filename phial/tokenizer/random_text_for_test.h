// Texts that tokenizers stumble over, from a seed.
#pragma once

#include <iterator>
#include <string>
#include <string_view>

#include "phial/base/random.h"
#include "phial/base/utf8.h"

namespace phial::tokenizer {

inline std::string random_bytes(Random& random, size_t n) {
  std::string bytes;
  for (size_t i = 0; i < n; ++i) bytes.push_back(static_cast<char>(random.below(256)));
  return bytes;
}

// `n` parts: letters of many scripts, numbers, spaces of all kinds, marks, contractions, emoji, any code point that has
// been assigned for long. No U+2581, which SentencePiece takes for a space.
inline std::string random_text(Random& random, size_t n) {
  static constexpr std::string_view kParts[] = {
      " ",
      "  ",
      "\n",
      "\r\n",
      "\t",
      "'s",
      "'S",
      "'ll",
      "'LL",
      "'re",
      "'vE",
      "'\xC5\xBF",
      "'",
      "1",
      "42",
      "1984",
      "\u00BD",
      "\u0664",
      "\u00A0",
      "\u2003",
      "\u3000",
      "\u0085",
      "\u180E",
      "a",
      "The",
      "word",
      "\u00C4pfel",
      "\u4E2D",
      "\u65E5\u672C",
      "\u0939\u093F",
      "\u0E44\u0E17",
      "\U0001F642",
      ".",
      "...",
      "!?",
      "<|",
      "|>",
      "_",
      "e\u0301",
      "\u200D",
      "\u0130",
      "\uFFFD",
  };
  struct Range {
    char32_t first, last;
  };
  static constexpr Range kRanges[] = {{0x20, 0x7E},     {0xA0, 0x24F},      {0x370, 0x37F},     {0x391, 0x3A1},
                                      {0x400, 0x4FF},   {0x5D0, 0x5EA},     {0x621, 0x64A},     {0x905, 0x939},
                                      {0xE01, 0xE3A},   {0x1100, 0x115F},   {0x2000, 0x206F},   {0x2190, 0x23FF},
                                      {0x3041, 0x3096}, {0x4E00, 0x9FA5},   {0xAC00, 0xD7A3},   {0xF900, 0xFA2D},
                                      {0xFF01, 0xFF5E}, {0x1D400, 0x1D454}, {0x1F300, 0x1F5FF}, {0x20000, 0x2A6D6}};
  std::string text;
  for (size_t i = 0; i < n; ++i) {
    if (random.below(2) == 0) {
      text.append(kParts[random.below(std::size(kParts))]);
    } else {
      const Range range = kRanges[random.below(std::size(kRanges))];
      append_utf8(text, range.first + static_cast<char32_t>(random.below(range.last - range.first + 1)));
    }
  }
  return text;
}

}  // namespace phial::tokenizer
