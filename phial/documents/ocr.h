// Text recognition in pictures of pages, by Tesseract if this machine has it.
//
// The library is loaded when open() is called, so Phial neither links it nor needs it. open() reads the language data
// and must be called before files can no longer be opened; recognise() opens nothing.
// Threads: one at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "phial/base/result.h"

namespace phial::documents {

struct OcrWord {
  std::string text;
  int block = 0, paragraph = 0, line = 0;        // counted by the recogniser, in reading order
  int left = 0, top = 0, right = 0, bottom = 0;  // pixels
  float confidence = 0;                          // 0 to 100
  int rotation = 0;                              // quarter turns clockwise
};

struct OcrPage {
  std::vector<OcrWord> words;
  int width = 0, height = 0;  // pixels
};

// Eight bits a channel, rows from the top.
struct Pixels {
  const uint8_t* data = nullptr;
  int width = 0, height = 0, bytes_per_pixel = 0, bytes_per_row = 0;
};

// Text that lies on its side or head is found too, unless looking for it would take long.
class Ocr {
 public:
  virtual ~Ocr() = default;
  virtual Result<OcrPage> recognise(const Pixels& page, int dots_per_inch) = 0;
  // A picture file (PNG, JPEG, TIFF).
  virtual Result<OcrPage> recognise_file(std::string_view bytes) = 0;
};

// `languages`: Tesseract's names joined by '+', as "eng+deu". kNotFound where the library is missing, kInvalid
// where a language is.
Result<std::unique_ptr<Ocr>> open_tesseract(const std::string& languages);

}  // namespace phial::documents
