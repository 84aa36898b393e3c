// What the fuzzers of this room share: whatever a reader makes of bytes keeps the promises of an ExtractedDocument.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string_view>

#include "phial/base/check.h"
#include "phial/base/json.h"
#include "phial/documents/read_document.h"
#include "phial/formats/extracted_document.h"

namespace phial::documents {

inline void fuzz_reader(const uint8_t* data, size_t size, std::initializer_list<const char*> names) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  for (const char* name : names) {
    ReadOptions options;
    options.format = name;
    options.max_text_bytes = 1 << 20;
    const Reading reading = read_document({bytes, "input"}, options);
    if (!reading.document) continue;
    const auto piped = parse_json(dump_json(formats::to_json(*reading.document)));
    PHIAL_CHECK(piped && formats::document_from_json(*piped));
  }
}

}  // namespace phial::documents
