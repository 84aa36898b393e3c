// The room's front door: the bytes of one foreign document -> its text with headings, pages and boxes, or the pixels of
// one of its figures.
//
// The bytes are hostile until proven otherwise and so is every library behind this door: call it inside
// sandbox::enter_cage(). It opens no document itself; libraries may look for fonts and character maps.
// Errors: kUnsupported (a format, encryption or scan that cannot be read), kCorrupt (the format's promises are broken),
// kOutOfRange (larger than a limit). Messages do not repeat the file's name. Threads: one at a time.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "phial/base/result.h"
#include "phial/documents/ocr.h"
#include "phial/formats/extracted_document.h"
#include "phial/formats/image.h"

namespace phial::documents {

struct Source {
  std::string_view bytes;
  std::string_view name;  // the file's name: its extension decides between formats that look alike
};

struct ReadOptions {
  std::string format = {};  // of format_names(); empty: told from content and name
  int max_pages = 0;        // of a PDF; 0: all
  uint64_t max_text_bytes = uint64_t{64} << 20;
  double ocr_seconds = 0;   // CPU time of the process after which no further page is recognised; 0: no limit
  Ocr* ocr = nullptr;       // for pages and images without text; none: they are reported
  bool ocr_is_off = false;  // by choice: they are left out, and nothing is missing
};

struct Reading {
  Result<formats::ExtractedDocument> document;
  bool ocr_would_help = false;  // there are pages or images without text and `ocr` was null
};

Reading read_document(const Source& source, const ReadOptions& options);

// What is seen at the figure's place. kInvalid for a place that the document does not have.
Result<formats::Image> draw_figure(const Source& source, const ReadOptions& options, const formats::Figure& figure);

// "csv, code, docx, ...": what ReadOptions::format may be.
std::string format_names();

}  // namespace phial::documents
