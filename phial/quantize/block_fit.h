// Chooses the numbers of one block: first the scales that the whole block shares, then, group by group, the rest. Used
// inside quantize only.
//
// Order of calls: begin(), then begin_group(0), put() of its weights, begin_group(1), ... With error feedback the
// weights of a group are known only when it begins, so its scale is chosen then.
#pragma once

#include <optional>
#include <span>

#include "phial/quantize/codebook_fit.h"
#include "phial/quantize/group_fit.h"
#include "phial/tensor/block_numbers.h"

namespace phial::quantize {

class BlockFit {
 public:
  // Promise: the type has a grid. `dtype` outlives nothing; grids are constants.
  explicit BlockFit(tensor::DType dtype);

  // The weights of a block as far as they are known, and their costs; all finite.
  void begin(std::span<const float> weights, std::span<const float> cost);
  // `group`: the same weights, or as feedback has `changed` them.
  void begin_group(size_t group, const Group& weights, bool changed);
  // Rounds weight k of the block, which lies in the group begun last. Returns what it decodes to.
  float put(size_t k, float weight);

  const tensor::BlockNumbers& numbers() const { return numbers_; }

 private:
  Grid fit(const Group& group) const;
  void choose_halves(const Group& group, const Grid& wanted);
  void choose_small_numbers(size_t g, const Group& group, const Grid& wanted);

  const tensor::BlockGrid& grid_;
  Levels levels_;
  std::optional<CodebookFit> codebook_;  // of types that have one
  Grid fits_[16];
  tensor::BlockNumbers numbers_;
  Grid current_;
};

}  // namespace phial::quantize
