// Has a foreign document read by the program phial-reader, in a process of its own under limits, and survives whatever
// happens to it.
//
// Protocol: `phial-reader --memory-mb M --max-file-mb N --seconds S --ocr auto|off --languages L -- PATH` writes one
// JSON object on its standard output, the document or {"error": {"message", "remedy"}}, and ends with 0 or 1; with
// `--figure F` it writes that figure's pixels instead of the document. Errors: kNotFound (no such program),
// kUnsupported (the reader's own word about the file), kCorrupt (it died, or wrote what is no document), kOutOfRange
// (too long, too large), kCancelled. Threads: any; each call starts a process.
#pragma once

#include <filesystem>
#include <stop_token>
#include <string>

#include "phial/base/result.h"
#include "phial/formats/extracted_document.h"
#include "phial/formats/image.h"

namespace phial::rag {

struct ReaderOptions {
  std::filesystem::path program;  // empty: phial-reader beside the running program
  int memory_mb = 1024;
  int max_file_mb = 200;  // larger files are not read
  int seconds = 60;       // of processor time; the clock on the wall gets twice that and spare_seconds
  int spare_seconds = 5;
  bool ocr = true;
  std::string languages = "eng";  // of text recognition: Tesseract's names, joined by '+'
  size_t max_output_bytes = size_t{512} << 20;
};

Result<formats::ExtractedDocument> read_document(const std::filesystem::path& path, const ReaderOptions& options,
                                                 const std::stop_token& cancel);

// What is seen at a figure's place: of page 0 the picture file itself.
Result<formats::Image> draw_figure(const std::filesystem::path& path, const formats::Figure& figure,
                                   const ReaderOptions& options, const std::stop_token& cancel);

}  // namespace phial::rag
