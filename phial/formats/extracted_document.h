// What phial-reader hands back of a foreign document: plain text with a map from its bytes to headings, pages and
// boxes.
//
// All offsets are byte offsets into `text`, which is valid UTF-8 with '\n' line ends and no other control characters
// but
// '\t'. Blocks are in reading order, do not overlap, and are separated in `text` by blank lines.
// On the pipe: one JSON object (to_json) a document. from_json checks everything: the reader's process may have been
// taken over by the document.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "phial/base/json.h"
#include "phial/base/result.h"

namespace phial::formats {

enum class BlockKind { kHeading, kParagraph, kListItem, kTable, kCode };

struct DocumentBlock {
  BlockKind kind = BlockKind::kParagraph;
  int level = 0;  // of a heading, 1 to 6; else 0
  int page = 0;   // from 1; 0: the format has no pages
  uint64_t start = 0, end = 0;
};

// A word's place on its page, in points from the upper left corner.
struct WordBox {
  uint64_t start = 0, end = 0;
  int page = 0;
  float left = 0, top = 0, right = 0, bottom = 0;
};

// A picture in a document. A file that is a picture is one figure of page 0, whose place is all of its pixels.
struct Figure {
  uint64_t start = 0, end = 0;  // the text that tells of it: a caption, else what stands nearest
  int page = 0;
  float left = 0, top = 0, right = 0, bottom = 0;  // as of a WordBox; of page 0 in pixels

  bool operator==(const Figure&) const = default;
};

struct ExtractedDocument {
  std::string title;   // empty: the file's name serves
  std::string format;  // "pdf", "markdown", ...
  std::string text;
  std::vector<DocumentBlock> blocks;
  std::vector<WordBox> words;         // PDF and OCR only
  std::vector<Figure> figures;        // by `start`; they may have text in common
  std::vector<std::string> warnings;  // what could not be read, one line each: "page 3 has no text"
  std::vector<std::string> left_out;  // on purpose, one line each: "comments were left out"
  std::string machine_warning;        // one line: what of the reader's cage this machine lacks; empty: nothing
};

Json to_json(const ExtractedDocument& document);

// kCorrupt for anything that breaks the promises above.
Result<ExtractedDocument> document_from_json(const Json& json);

}  // namespace phial::formats
