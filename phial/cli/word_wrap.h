// Streamed text for a terminal: lines break between words, where the terminal would cut a word in two.
//
// A word is held back until it is whole. What Markdown does not let flow stays as it is: code, fenced or indented, and
// tables. Further lines of a list's item stand under its text. Wide characters count two columns, and lines may break
// between them; never within a grapheme cluster. A joined emoji counts as its parts side by side, as which some
// terminals show it.
// Threads: one at a time.
#pragma once

#include <string>
#include <string_view>

namespace phial::cli {

class WordWrap {
 public:
  // 0 columns: the text passes as it comes.
  explicit WordWrap(int columns) : columns_(columns) {}

  // Adds text, cut anywhere but inside a character; returns what may be shown now.
  std::string add(std::string_view text);
  // The text ends: returns what was held back. What comes next begins a line.
  std::string finish();

 private:
  void add_character(std::string_view bytes, char32_t c, std::string& out);
  void end_word(std::string& out);
  void end_line(std::string& out);
  void begin_line();

  int columns_;
  // What is held back: white space, and the word after it as far as it has come.
  std::string spaces_, word_;
  int word_width_ = 0;
  char32_t last_ = 0;     // code point of the word
  int cluster_ = 0;       // utf8proc's, of the grapheme cluster that it ends
  bool goes_on_ = false;  // its beginning is shown already

  // The line as it stands on the terminal.
  int column_ = 0;
  int hanging_ = 0;  // where its further lines begin
  bool has_word_ = false;
  bool is_kept_ = false;  // as it is
  // The text before it.
  std::string fence_;      // the marks of the fenced code that it is in
  int item_indent_ = 0;    // where the text of the list's item begins that it may belong to; 0: none
  bool after_gap_ = true;  // an empty line or the beginning: code may be indented only then
  bool after_code_ = false;
};

}  // namespace phial::cli
