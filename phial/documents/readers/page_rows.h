// Words of a page -> rows from top to bottom, of runs: words that stand close together.
#pragma once

#include <cstddef>
#include <vector>

#include "phial/documents/readers/page_layout.h"

namespace phial::documents {

struct Run {
  std::vector<size_t> words = {};  // indices into the page's
  float left = 0, right = 0, top = 0, bottom = 0;
  size_t characters = 0;
};

struct Row {
  std::vector<Run> runs = {};  // from left to right
  float top = 0, bottom = 0;
};

using Rows = std::vector<Row>;

// Of the words at `indices`. Rows have one run at least; gaps so wide that columns may end there part them, but
// the spaces of justified lines do not.
Rows rows_of(const std::vector<PageWord>& words, std::vector<size_t> indices);

// Of values, at least one: the one below which `share` of them lie.
float quantile(std::vector<float> values, float share);

}  // namespace phial::documents
