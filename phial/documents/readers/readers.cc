#include "phial/documents/readers/readers.h"

#include <array>

namespace phial::documents {

std::span<const FormatReader> format_readers() {
  static constexpr std::array kReaders = {
      FormatReader{"code", read_code},         FormatReader{"csv", read_csv},
      FormatReader{"docx", read_docx},         FormatReader{"epub", read_epub},
      FormatReader{"html", read_html},         FormatReader{"image", read_image, draw_image},
      FormatReader{"markdown", read_markdown}, FormatReader{"pdf", read_pdf, draw_pdf},
      FormatReader{"text", read_text},
  };
  return kReaders;
}

}  // namespace phial::documents
