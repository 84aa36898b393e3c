#include "phial/formats/low_rank.h"

namespace phial::formats {

void LowRank::add_to(std::span<float> weights, size_t row, uint64_t first) const {
  for (size_t r = 0; r < rank; ++r) {
    const float factor = scale * b[row * rank + r];
    const float* from = a.data() + r * columns + first;
    for (size_t i = 0; i < weights.size(); ++i) weights[i] += factor * from[i];
  }
}

}  // namespace phial::formats
