// Weights whose small numbers stand for levels of a codebook, and whose scales have eight bits. Used inside quantize
// only.
//
// There are few such scales, so the best is found by trying all that could be: from where the largest weight is cut to
// half, to where it leaves the outermost levels unused; of both signs, since the two sides of a codebook differ.
// Source: docs/decisions/0008-int4.md. Threads: immutable once made.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "phial/quantize/group_fit.h"

namespace phial::quantize {

class CodebookFit {
 public:
  // Promise: levels of tensor/codebooks.h, in rising order.
  explicit CodebookFit(std::span<const int8_t> levels);

  // The level nearest to a weight over its scale; of two as near the upper one.
  int8_t nearest(float ratio) const;
  // The scale with the least weighted squared error, as it is stored.
  uint8_t best_scale(const Group& group) const;

 private:
  double error_of(const Group& group, float scale) const;

  int low_ = 0, high_ = 0;  // how far the shorter and the longer side of the codebook reach
  std::array<int8_t, 256> nearest_;
};

}  // namespace phial::quantize
