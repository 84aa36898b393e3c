// Which type each matrix gets when all of them may take so many bytes and no more.
//
// Greedy: every matrix begins with its smallest type, and the next bytes go where they take away the most loss, for as
// long as there are any. Source: docs/decisions/0008-int4.md. Threads: pure functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace phial::quantize {

// One type that a matrix may have: what it takes, and what it loses.
struct Offer {
  uint64_t bytes = 0;
  double loss = 0;
};

struct Spending {
  std::vector<size_t> taken;  // the offer that each matrix takes
  uint64_t bytes = 0;
};

// Of each matrix one offer at least, rising in bytes. What the smallest of all take.
uint64_t least_bytes(std::span<const std::vector<Offer>> matrices);
// Promise: least_bytes(matrices) <= most_bytes.
Spending spend(std::span<const std::vector<Offer>> matrices, uint64_t most_bytes);

}  // namespace phial::quantize
