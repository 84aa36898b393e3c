#include "phial/documents/readers/pdf_figures.h"

#include <algorithm>
#include <limits>
#include <string>
#include <string_view>

namespace phial::documents {
namespace {

// A block with the place of its words.
struct PlacedBlock {
  formats::DocumentBlock block;
  PageBox box;
  bool is_caption = false;
};

std::vector<PlacedBlock> placed_blocks(const ExtractedDocument& document) {
  std::vector<PlacedBlock> placed;
  size_t word = 0;
  for (const formats::DocumentBlock& block : document.blocks) {
    while (word < document.words.size() && document.words[word].start < block.start) ++word;
    constexpr float kFar = std::numeric_limits<float>::max();
    PageBox box{kFar, kFar, -kFar, -kFar};
    for (; word < document.words.size() && document.words[word].end <= block.end; ++word) {
      const WordBox& at = document.words[word];
      if (at.page != block.page) continue;  // a paragraph may go on over the page
      box = {std::min(box.left, at.left), std::min(box.top, at.top), std::max(box.right, at.right),
             std::max(box.bottom, at.bottom)};
    }
    if (box.left > box.right) continue;
    const std::string_view text = std::string_view(document.text).substr(block.start, block.end - block.start);
    placed.push_back({block, box, is_caption(text)});
  }
  return placed;
}

// How far a block stands from a figure, up or down; beside it counts more, for columns go their own ways.
float distance(const PlacedBlock& block, const PageBox& figure) {
  const float across = std::max({block.box.left - figure.right, figure.left - block.box.right, 0.0F});
  const float down = std::max({block.box.top - figure.bottom, figure.top - block.box.bottom, 0.0F});
  return 3 * across + down;
}

// Inside the figure stand its labels, which tell less than what is around it.
bool is_inside(const PlacedBlock& block, const PageBox& figure) {
  const float across = (block.box.left + block.box.right) / 2, down = (block.box.top + block.box.bottom) / 2;
  return across > figure.left && across < figure.right && down > figure.top && down < figure.bottom;
}

}  // namespace

PageParagraph name_of(const PageFigure& figure) {
  PageLine line;
  line.left = figure.box.left;
  line.top = figure.box.top;
  line.right = figure.box.right;
  line.bottom = figure.box.bottom;
  line.size = 1;
  for (const std::string& text :
       {std::string("Picture"), std::string("on"), std::string("page"), std::to_string(figure.page)}) {
    line.words.push_back({.text = text,
                          .left = figure.box.left,
                          .top = figure.box.top,
                          .right = figure.box.right,
                          .bottom = figure.box.bottom,
                          .size = 1});
  }
  line.cells = {line.words.size()};
  return {.page = figure.page, .lines = {std::move(line)}};
}

void add_figures(std::span<const PageFigure> figures, DocumentBuilder& builder) {
  if (figures.empty()) return;
  constexpr float kCaptionAtMost = 60;  // points from its figure
  constexpr float kLabels = 1000;       // farther than what stands around
  const std::vector<PlacedBlock> blocks = placed_blocks(builder.so_far());
  for (const PageFigure& figure : figures) {
    const PlacedBlock* best = nullptr;
    float nearest = std::numeric_limits<float>::max();
    for (const PlacedBlock& block : blocks) {
      if (block.block.page != figure.page) continue;
      float apart = distance(block, figure.box);
      if (block.is_caption && apart <= kCaptionAtMost) {
        apart -= kLabels;
      } else if (is_inside(block, figure.box)) {
        apart += kLabels;
      }
      if (apart >= nearest) continue;
      nearest = apart;
      best = &block;
    }
    if (best == nullptr) continue;
    builder.add_figure({.start = best->block.start,
                        .end = best->block.end,
                        .page = figure.page,
                        .left = std::max(figure.box.left, 0.0F),
                        .top = std::max(figure.box.top, 0.0F),
                        .right = figure.box.right,
                        .bottom = figure.box.bottom});
  }
}

}  // namespace phial::documents
