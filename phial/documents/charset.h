// Bytes in whatever encoding a text file has -> UTF-8.
//
// In order: byte order marks (UTF-8, UTF-16, UTF-32), UTF-16 without one, valid UTF-8, the file's own word for it (an
// HTML or XML declaration), and uchardet's guess from the bytes. What cannot be converted becomes U+FFFD.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "phial/base/result.h"

namespace phial::documents {

struct DecodedText {
  std::string text;     // valid UTF-8
  std::string charset;  // "UTF-8", "SHIFT_JIS", ...
};

// `declared`: the charset the file itself names, or empty. kUnsupported if the bytes are no text in any encoding.
Result<DecodedText> to_utf8(std::string_view bytes, std::string_view declared = {});

// Keeps the C library's converters loaded while it lives, so that to_utf8() opens no file: made before the process
// gives up the right to.
class LoadedCharsets {
 public:
  LoadedCharsets();
  ~LoadedCharsets();
  LoadedCharsets(const LoadedCharsets&) = delete;
  LoadedCharsets& operator=(const LoadedCharsets&) = delete;

 private:
  std::vector<void*> converters_;
};

}  // namespace phial::documents
