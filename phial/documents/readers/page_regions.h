// The regions of a page in reading order: columns and tables.
#pragma once

#include <vector>

#include "phial/documents/readers/page_rows.h"

namespace phial::documents {

struct Region {
  Rows rows = {};
  bool table = false;  // else one column
};

// Of all `words`: upright, of one rotation.
std::vector<Region> regions_of(const std::vector<PageWord>& words);

}  // namespace phial::documents
