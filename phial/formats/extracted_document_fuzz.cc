#include "phial/formats/extracted_document.h"

#include "phial/base/check.h"
#include "phial/base/utf8.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto json = phial::parse_json({reinterpret_cast<const char*>(data), size});
  if (!json) return 0;
  const auto document = phial::formats::document_from_json(*json);
  if (!document) {
    PHIAL_CHECK(document.error().text().find('\n') == std::string::npos);
    return 0;
  }
  PHIAL_CHECK(phial::is_valid_utf8(document->text));
  for (const auto& block : document->blocks) {
    PHIAL_CHECK(phial::is_valid_utf8(document->text.substr(block.start, block.end - block.start)));
  }
  for (const auto& word : document->words) {
    PHIAL_CHECK(phial::is_valid_utf8(document->text.substr(word.start, word.end - word.start)));
  }
  PHIAL_CHECK(phial::formats::document_from_json(phial::formats::to_json(*document)).has_value());
  return 0;
}
