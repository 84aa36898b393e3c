// Reads one document in a child process inside the cage, and survives whatever the document does to that child.
//
// The child has the file's bytes in memory before the cage closes. It runs without OCR first; if pages without text
// turn up, a second child runs with Tesseract loaded. Threads: call it while the process has one.
#pragma once

#include <string>
#include <string_view>

#include "phial/base/result.h"
#include "phial/formats/extracted_document.h"

namespace phial::documents {

struct SuperviseOptions {
  std::string format = {};  // as ReadOptions
  int max_pages = 0;
  uint64_t memory_mb = 1024;  // of the child's address space, the file included
  int seconds = 60;           // of CPU time; three times that by the clock
  uint64_t max_file_mb = 200;
  uint64_t max_text_mb = 64;
  bool ocr = true;  // where Tesseract is installed
  std::string languages = "eng";
};

// The document as one line of JSON (formats::to_json).
// Errors: those of read_document(); kNotFound, kIo, kInvalid for the path; kOutOfRange for time, memory and size;
// kCorrupt where the child died of the document.
Result<std::string> read_in_cage(const std::string& path, const SuperviseOptions& options);

// What is seen at a figure's place, as a PPM file (formats/ppm.h). Errors: also those of draw_figure().
Result<std::string> draw_in_cage(const std::string& path, const formats::Figure& figure,
                                 const SuperviseOptions& options);

}  // namespace phial::documents
