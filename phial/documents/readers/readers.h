// The list of formats. A reader adds blocks to the builder and returns; a new format is one file here and its line in
// readers.cc.
#pragma once

#include <span>
#include <string_view>

#include "phial/base/result.h"
#include "phial/documents/builder.h"
#include "phial/documents/read_document.h"
#include "phial/formats/image.h"

namespace phial::documents {

struct ReaderJob {
  const Source& source;
  const ReadOptions& options;
  DocumentBuilder& builder;
  bool ocr_would_help = false;  // set by the reader

  // Tells of what has no text because none was recognised.
  void lack(std::string_view what) { options.ocr_is_off ? builder.leave_out(what) : builder.warn(what); }
};

struct FormatReader {
  std::string_view format;
  Status (*read)(ReaderJob& job);
  // A figure's pixels; null where the format has no figures.
  Result<formats::Image> (*draw)(const Source& source, const formats::Figure& figure) = nullptr;
};

std::span<const FormatReader> format_readers();

Status read_code(ReaderJob& job);
Status read_csv(ReaderJob& job);
Status read_docx(ReaderJob& job);
Status read_epub(ReaderJob& job);
Status read_text(ReaderJob& job);
Status read_markdown(ReaderJob& job);
Status read_html(ReaderJob& job);
Status read_image(ReaderJob& job);
Status read_pdf(ReaderJob& job);

Result<formats::Image> draw_pdf(const Source& source, const formats::Figure& figure);
Result<formats::Image> draw_image(const Source& source, const formats::Figure& figure);

}  // namespace phial::documents
