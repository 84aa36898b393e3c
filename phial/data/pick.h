// Choices by the seeded generator.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>
#include <vector>

#include "phial/base/random.h"

namespace phial::data {

// Promise: `from` is not empty.
template <class List>
const auto& pick(Random& random, const List& from) {
  return from[random.below(from.size())];
}

// From `least` to `most`, both included. Promise: least <= most, and less than 2^63 apart.
inline int64_t number_between(Random& random, int64_t least, int64_t most) {
  return least + static_cast<int64_t>(random.below(static_cast<uint64_t>(most - least) + 1));
}

inline bool chance(Random& random, double share) { return random.uniform() < share; }

template <class T>
void shuffle(Random& random, std::vector<T>& values) {
  for (size_t i = values.size(); i > 1; --i) std::swap(values[i - 1], values[random.below(i)]);
}

// `count` different ones, in any order. Promise: there are as many.
template <class List>
auto pick_several(Random& random, const List& from, size_t count) {
  std::vector<std::remove_cvref_t<decltype(from[0])>> values(from.begin(), from.end());
  for (size_t i = 0; i < count; ++i) std::swap(values[i], values[i + random.below(values.size() - i)]);
  values.resize(count);
  return values;
}

}  // namespace phial::data
