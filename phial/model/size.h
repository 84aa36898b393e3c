// Counts are ints in a model's description and sizes in memory.
#pragma once

#include <cstddef>

namespace phial::model {

inline size_t size(int n) { return static_cast<size_t>(n); }

}  // namespace phial::model
