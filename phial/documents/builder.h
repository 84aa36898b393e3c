// Puts an ExtractedDocument together block by block and keeps its promises: valid UTF-8, '\n' line ends, no control or
// invisible characters, blocks in order with a blank line between them, text and words within their limits.
//
// Either add() whole blocks, or begin(), then text() and word(), then end(). Blocks that come out empty vanish.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "phial/base/result.h"
#include "phial/formats/extracted_document.h"

namespace phial::documents {

using formats::BlockKind;
using formats::ExtractedDocument;
using formats::WordBox;

enum class WhiteSpace {
  kCollapse,  // a run of white space is one space, or one line break if it holds one
  kKeep,      // as it stands, for code and other text whose columns mean something
};

// `raw` without what must not or cannot be seen: control characters, byte order marks, zero-width characters, direction
// overrides, Unicode tags, a terminal's colours. Malformed UTF-8 becomes U+FFFD; every kind of line end becomes '\n';
// at both ends white space is cut off (for kKeep: blank lines).
std::string clean_text(std::string_view raw, WhiteSpace white_space);

// Adds what is set above the line: "10^6" is not 106, nor is the sign of a footnote part of the word before it.
void append_raised(std::string& text, std::string_view raised, bool is_reference);

struct BlockPlace {
  BlockKind kind = BlockKind::kParagraph;
  int level = 0;
  int page = 0;
};

class DocumentBuilder {
 public:
  DocumentBuilder(std::string format, uint64_t max_text_bytes);

  void add(const BlockPlace& place, std::string_view text, WhiteSpace white_space = WhiteSpace::kCollapse);

  void begin(const BlockPlace& place);
  void text(std::string_view clean);                      // separators and words without a place
  void word(std::string_view clean, const WordBox& box);  // start and end of `box` are filled in here
  void end();

  // Of text that was added, between blocks. Only so many are kept.
  void add_figure(const formats::Figure& figure);

  // What could not be read, and what was not meant to be: one line each; the same one is kept once.
  void warn(std::string_view warning);
  void leave_out(std::string_view what);
  // The first title given counts.
  void set_title(std::string_view title);
  bool has_title() const { return !document_.title.empty(); }

  // True once the limit is reached: nothing more is taken, so a reader may stop.
  bool full() const { return full_; }
  bool empty() const { return document_.blocks.empty(); }
  uint64_t text_bytes() const { return document_.text.size(); }
  const ExtractedDocument& so_far() const { return document_; }

  // kUnsupported if no text was found.
  Result<ExtractedDocument> finish() &&;

 private:
  static void add_line(std::string_view text, std::vector<std::string>& all);

  ExtractedDocument document_;
  uint64_t max_text_bytes_;
  bool full_ = false;
  bool open_ = false;
  bool words_cut_ = false;
  formats::DocumentBlock block_;
  size_t words_before_ = 0;
};

}  // namespace phial::documents
