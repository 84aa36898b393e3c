// A string of a chat template that knows which of its bytes a person or a document wrote.
//
// Those bytes stay marked through every operation, so that the text of a special token which came with a message can be
// told from one that the template itself writes. Lengths and positions of a template's strings count code points, as in
// Python; ranges count bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "phial/tokenizer/tokenizer.h"

namespace phial::generate::jinja {

using tokenizer::TextRange;

struct Text {
  std::string bytes;
  std::vector<TextRange> plain;  // what is not the template's own; in order, disjoint, none empty

  void append(std::string_view own) { bytes += own; }
  void append_plain(std::string_view foreign);
  void append(const Text& other) { append(other, 0, other.bytes.size()); }
  void append(const Text& other, size_t start, size_t end);  // bytes [start, end) of it

  Text part(size_t start, size_t end) const;
  uint64_t cost() const { return bytes.size() + plain.size() * sizeof(TextRange); }  // of copying it
  bool is_plain(size_t at) const;
};

// White space as Python's str.strip() and str.isspace() see it.
bool is_python_space(char32_t c);

size_t code_points(std::string_view text);
// The byte position of each code point, and text.size() behind them.
std::vector<size_t> positions(std::string_view text);

// Python's strip: the byte range that is left. `characters` empty: white space.
TextRange strip(std::string_view text, std::string_view characters, bool left, bool right);

}  // namespace phial::generate::jinja
