// What LoRA (arXiv 2106.09685) adds to a matrix of weights.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace phial::formats {

// For a matrix [rows, columns]: scale · b a, with b [rows, rank] and a [rank, columns].
struct LowRank {
  size_t rank = 0, rows = 0, columns = 0;
  float scale = 0;
  std::vector<float> a, b;

  // Adds columns first, first + 1, ... of its row `row`.
  void add_to(std::span<float> weights, size_t row, uint64_t first) const;
};

}  // namespace phial::formats
