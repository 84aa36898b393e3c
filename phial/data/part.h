// Which made-up examples are for training and which are held out: an example's own content decides, so that no seed
// brings one into both.
#pragma once

#include <cstdint>
#include <string_view>

#include "phial/base/fnv.h"
#include "phial/base/random.h"

namespace phial::data {

enum class Part { kTrain, kHeldOut };

inline constexpr uint64_t kHeldOutOneIn = 8;

inline Part part_of(std::string_view content) {
  Fnv1a hash;
  hash.add(content);
  return Random(hash.value()).below(kHeldOutOneIn) == 0 ? Part::kHeldOut : Part::kTrain;
}

// The choices of the index-th example of a seed: those of other examples, and of other seeds, have nothing to do with
// them, so examples can be made in any order.
inline Random random_of(uint64_t seed, uint64_t index) { return Random(Random(seed).next() + index); }

}  // namespace phial::data
