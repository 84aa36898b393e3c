#include "phial/train/mixed_windows.h"

#include <cmath>

namespace phial::train {
namespace {

// Of the first n batches.
uint64_t short_batches(uint64_t n, double share) {
  return static_cast<uint64_t>(std::floor(static_cast<double>(n) * share));
}

}  // namespace

Result<Batch> MixedWindows::batch(uint64_t first, int64_t count) const {
  const uint64_t number = first / options_.rows;
  const uint64_t shorts = short_batches(number, options_.short_share);
  const bool is_short = short_batches(number + 1, options_.short_share) > shorts;
  const uint64_t of_a_part = (options_.samples - 1) / lengths_.size() + 1;
  const uint64_t part = first / of_a_part;
  const uint64_t part_began = (part * of_a_part + options_.rows - 1) / options_.rows;  // the first of its batches
  const uint64_t longs = (number - shorts) - (part_began - short_batches(part_began, options_.short_share));
  const Loader& loader = is_short ? original_ : lengths_[part];
  const int64_t windows = count * lengths_.back().sequence_tokens() / loader.sequence_tokens();
  return loader.batch((is_short ? shorts : longs) * static_cast<uint64_t>(windows), windows);
}

}  // namespace phial::train
