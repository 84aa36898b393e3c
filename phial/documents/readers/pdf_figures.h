// Which text of a document tells of its figures.
#pragma once

#include <span>

#include "phial/documents/builder.h"
#include "phial/documents/readers/page_figures.h"
#include "phial/documents/readers/page_layout.h"

namespace phial::documents {

// "Picture on page 3": what stands for a page that has a figure and no words.
PageParagraph name_of(const PageFigure& figure);

// After the paragraphs were written: each figure goes with its caption, else with the block nearest to it on its page.
// One whose page has no block is left out.
void add_figures(std::span<const PageFigure> figures, DocumentBuilder& builder);

}  // namespace phial::documents
