// A pseudo-random order of n things that needs no memory: the place of any is computed alone, so that training resumes
// at any sample.
//
// A Feistel network of four rounds over the next even number of bits, walked until it falls below n. Source: Luby and
// Rackoff (1988); cycle walking, Black and Rogaway (2002).
#pragma once

#include <bit>
#include <cstdint>

namespace phial::train {

// The key of an epoch's order.
inline uint64_t seed_of_epoch(uint64_t seed, uint64_t epoch) { return seed * 0x9E3779B97F4A7C15ULL + epoch; }

class Shuffle {
 public:
  // Promise: n > 0.
  Shuffle(uint64_t n, uint64_t key) : n_(n), key_(key), half_bits_((std::bit_width(n - 1) + 1) / 2) {}

  // A permutation of [0, n). Promise: i < n.
  uint64_t operator()(uint64_t i) const {
    do i = encrypted(i);
    while (i >= n_);
    return i;
  }

 private:
  uint64_t encrypted(uint64_t i) const {
    const uint64_t mask = (uint64_t{1} << half_bits_) - 1;
    uint64_t left = i >> half_bits_, right = i & mask;
    for (uint64_t round = 0; round < 4; ++round) {
      const uint64_t mixed = (mix(right + (round << 58)) & mask) ^ left;
      left = right;
      right = mixed;
    }
    return left << half_bits_ | right;
  }
  // splitmix64's finish (Steele et al., 2014).
  uint64_t mix(uint64_t z) const {
    z += key_ * 0x9E3779B97F4A7C15ULL + 0x9E3779B97F4A7C15ULL;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    return z ^ (z >> 31);
  }

  uint64_t n_, key_;
  int half_bits_;
};

}  // namespace phial::train
