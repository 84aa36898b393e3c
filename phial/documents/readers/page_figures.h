// What is drawn on a page beside its words: photographs, charts, diagrams; not rules, frames, tables and tinted boxes
// around text, nor what is too small to show anything.
//
// Looks at the picture of a page and knows nothing of PDF: whatever way a figure is made of images, lines and areas,
// its ink stands together.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "phial/documents/ocr.h"
#include "phial/documents/readers/page_layout.h"

namespace phial::documents {

// Points from the upper left corner.
struct PageBox {
  float left = 0, top = 0, right = 0, bottom = 0;

  bool operator==(const PageBox&) const = default;
};

struct PageFigure {
  int page = 0;  // from 1
  PageBox box = {};
  std::string look = {};  // equal for what looks alike
};

// From the top down. `pixels` is the picture of the whole page in colour, `pixels_per_point` its scale.
std::vector<PageFigure> find_figures(const Pixels& pixels, float pixels_per_point, const PageOfWords& page);

// Takes figures off that stand on an earlier page in the same place and look alike, and those that stand on many pages:
// logos, backgrounds.
void remove_repeated_figures(std::vector<PageFigure>& figures);

// "Figure 3: ...", "Fig. 3", "Abb. 2": does a paragraph begin as captions do?
bool is_caption(std::string_view text);

}  // namespace phial::documents
