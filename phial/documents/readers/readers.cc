#include "phial/documents/readers/readers.h"

#include <array>

namespace phial::documents {

std::span<const FormatReader> format_readers() {
  static constexpr std::array kReaders = {
      FormatReader{"html", read_html},
      FormatReader{"markdown", read_markdown},
      FormatReader{"text", read_text},
  };
  return kReaders;
}

}  // namespace phial::documents
