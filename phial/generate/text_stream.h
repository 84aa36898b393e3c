// Turns the bytes of tokens into text that may be shown: whole UTF-8 characters, and nothing that could still become a
// stop text.
//
// Threads: one at a time.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace phial::generate {

class TextStream {
 public:
  // `stop`: texts that end the answer and are not part of it; empty ones are ignored.
  explicit TextStream(std::vector<std::string> stop);

  // Adds bytes; returns what may be shown now. Malformed bytes become U+FFFD.
  std::string push(std::string_view bytes);
  // The answer ends: returns what was held back.
  std::string finish();

  // A stop text has come. What follows is ignored.
  bool stopped() const { return stopped_; }
  // All that push() and finish() have returned.
  const std::string& text() const { return text_; }

 private:
  std::string release(size_t length);

  std::vector<std::string> stop_;
  std::string held_;
  std::string text_;
  bool stopped_ = false;
};

}  // namespace phial::generate
