// What the tests of this room share.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "phial/base/json.h"
#include "phial/documents/read_document.h"
#include "phial/formats/extracted_document.h"

namespace phial::documents {

// A reading outside the cage; whatever comes of it keeps the promises that the other side of the pipe checks.
inline Reading read_bytes(std::string_view name, std::string_view bytes, const ReadOptions& options = {}) {
  Reading reading = read_document({bytes, name}, options);
  if (reading.document) {
    const auto piped = parse_json(dump_json(formats::to_json(*reading.document)));
    EXPECT_TRUE(piped) << name;
    const auto checked = formats::document_from_json(*piped);
    EXPECT_TRUE(checked) << name << ": " << checked.error().text();
  } else {
    EXPECT_FALSE(reading.document.error().message.empty());
    EXPECT_EQ(reading.document.error().text().find('\n'), std::string::npos);
  }
  return reading;
}

inline formats::ExtractedDocument read_well(std::string_view name, std::string_view bytes,
                                            const ReadOptions& options = {}) {
  Reading reading = read_bytes(name, bytes, options);
  EXPECT_TRUE(reading.document) << name << ": " << reading.document.error().text();
  return reading.document ? *std::move(reading.document) : formats::ExtractedDocument{};
}

inline std::string error_of(std::string_view name, std::string_view bytes, const ReadOptions& options = {}) {
  const Reading reading = read_bytes(name, bytes, options);
  return reading.document ? "no error" : reading.document.error().text();
}

// Each block as "h2:text", "p:text", "li:text", "table:text" or "code:text".
inline std::vector<std::string> outline(const formats::ExtractedDocument& document) {
  std::vector<std::string> lines;
  for (const formats::DocumentBlock& block : document.blocks) {
    std::string kind;
    switch (block.kind) {
      case formats::BlockKind::kHeading:
        kind = "h" + std::to_string(block.level);
        break;
      case formats::BlockKind::kParagraph:
        kind = "p";
        break;
      case formats::BlockKind::kListItem:
        kind = "li";
        break;
      case formats::BlockKind::kTable:
        kind = "table";
        break;
      case formats::BlockKind::kCode:
        kind = "code";
        break;
    }
    lines.push_back(kind + ":" + document.text.substr(block.start, block.end - block.start));
  }
  return lines;
}

}  // namespace phial::documents
