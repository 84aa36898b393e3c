// Words scattered over pages -> paragraphs, table rows and headings in reading order.
//
// Geometry: points, from the upper left corner of the upright page. Nothing here knows PDF: recognised pictures of
// pages go through the same steps.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "phial/documents/builder.h"

namespace phial::documents {

struct PageWord {
  std::string text = {};  // clean, without white space at its ends
  float left = 0, top = 0, right = 0, bottom = 0;
  float size = 0;    // of the font
  int rotation = 0;  // quarter turns clockwise
  bool bold = false;
  bool space_after = true;  // before the next word of its line
  float drop = 0;  // how much lower it stands on a page that was scanned askew; top and bottom are of a straight one
};

struct PageOfWords {
  int number = 0;  // from 1
  float width = 0, height = 0;
  std::vector<PageWord> words = {};
};

// Words of one printed line, in reading order; with `cells`, the lengths of the line's cells in words.
struct PageLine {
  std::vector<PageWord> words = {};
  std::vector<size_t> cells;
  float left = 0, top = 0, right = 0, bottom = 0;
  float size = 0;     // of most of its characters
  bool bold = false;  // all of it
  bool right_to_left = false;
  bool ends_early = false;  // well before the edge of its column, so that the break after it means something
};

struct PageParagraph {
  BlockKind kind = BlockKind::kParagraph;
  int level = 0;
  int page = 0;
  std::vector<PageLine> lines;
};

// The paragraphs of one page in reading order: columns one after the other, rows of tables as one block, turned text
// last. Kinds are kParagraph, kListItem and kTable.
std::vector<PageParagraph> lay_out(PageOfWords page);

// Takes lines that stand at the head or foot of many pages (running titles, page numbers) off the pages.
void remove_running_lines(std::vector<PageOfWords>& pages);

struct OutlineEntry {
  std::string title;
  int level = 1;
};

// Makes headings of paragraphs that the document's outline names, or that are set larger or bolder than its text.
void find_headings(std::vector<PageParagraph>& paragraphs, const std::vector<OutlineEntry>& outline);

// Writes the paragraphs, those that columns and pages parted and words that hyphens broke at line ends joined again,
// and a box for each word.
void write_paragraphs(const std::vector<PageParagraph>& paragraphs, DocumentBuilder& builder);

// How much of two intervals is common, as a part of the shorter.
float overlap_share(float a0, float a1, float b0, float b1);

}  // namespace phial::documents
