// How much each input of a matrix matters, and together with which others: H = X^T X over calibration text.
//
// A symmetric matrix over D columns, of which the upper triangle is kept in panels of 16 columns: panel p holds rows 0
// to 16 p + 15, sixteen numbers each, in the layout that the f32 product of kernels reads.
// Memory: about 2 D^2 bytes. Threads: add() uses the pool; results do not depend on the number of threads.
#pragma once

#include <cstddef>

#include "phial/base/result.h"
#include "phial/base/thread_pool.h"
#include "phial/model/aligned_bytes.h"

namespace phial::quantize {

inline constexpr size_t kPanel = 16;  // columns

// The upper triangle of a D x D matrix in panels. Promise: columns is a multiple of kPanel.
class Panels {
 public:
  // kOutOfMemory if the machine has no room for it.
  static Result<Panels> make(size_t columns);
  static size_t bytes(size_t columns);

  size_t columns() const { return columns_; }
  size_t count() const { return columns_ / kPanel; }
  // [16 p + 16][16]
  float* panel(size_t p) { return memory_.as<float>() + kPanel * kPanel * (p * (p + 1) / 2); }
  const float* panel(size_t p) const { return memory_.as<float>() + kPanel * kPanel * (p * (p + 1) / 2); }
  // Promise: row <= column.
  float& at(size_t row, size_t column) { return panel(column / kPanel)[row * kPanel + column % kPanel]; }
  float at(size_t row, size_t column) const { return panel(column / kPanel)[row * kPanel + column % kPanel]; }

 private:
  size_t columns_ = 0;
  model::AlignedBytes memory_;
};

// Adds X^T X. x: [tokens, columns], rows `stride` apart.
void add_outer_products(const float* x, size_t stride, size_t tokens, ThreadPool& pool, Panels& hessian);

}  // namespace phial::quantize
