// Hebrew, Arabic and the like on a page. PDF files mostly give letters and words as they stand, from left to right;
// what is read the other way is turned around here.
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "phial/documents/readers/page_layout.h"

namespace phial::documents {

struct Letter {
  char16_t code_unit = 0;
  float advance = 0;  // of the line's length
};

// The letters of words in reading order. Some files name the letters of a whole word beside its drawing ("ActualText");
// those are in reading order already, and known by their places, which poppler spreads evenly over the word.
class LetterOrder {
 public:
  // All words of the page, before any is asked for: in a font whose letters are all of one width, evenness says
  // nothing.
  void learn(std::span<const Letter> word, float font_size);
  std::u16string restore(std::span<const Letter> word, float font_size) const;

 private:
  std::map<long, std::vector<std::u16string>>
      even_words_;  // a few different ones, by advance in thousandths of the font
};

// Sorts the words of one line, which stand from left to right, into reading order, and their spaces with them.
void order_words(std::vector<PageWord>& line);

// Letters of scripts that run from right to left.
bool is_right_to_left(std::string_view word);

}  // namespace phial::documents
