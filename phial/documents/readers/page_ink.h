// Whether someone who looks at a page sees its words. Text in the colour of the paper, drawn without ink or covered is
// there to be found by programs only: orders to a model that reads the page, or words for search engines.
#pragma once

#include <span>
#include <vector>

#include "phial/documents/ocr.h"
#include "phial/documents/readers/page_layout.h"

namespace phial::documents {

// For each word: is its place of one plain colour? A sign alone may well be drawn beside its place, as mathematics is:
// of words in a row that have fewer than four characters together none is called unseen.
// `page` is the picture of the whole page in colour, `pixels_per_point` its scale.
std::vector<bool> words_without_ink(const Pixels& page, float pixels_per_point, std::span<const PageWord> words);

// Nothing is drawn on it at all.
bool is_blank(const Pixels& page);

}  // namespace phial::documents
