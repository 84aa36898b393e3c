// What the machine can do at best, for `phial bench` to set a model's speed against: the same vectors and the same
// byte products that the other kernels are made of, with nothing around them.
#pragma once

#include "phial/kernels/generic/vocabulary.h"
#include "phial/kernels/kernels.h"

namespace phial::kernels {

template <class Simd, size_t kStreams, bool kPrefetch>
uint32_t sum_streams(const uint32_t* p, size_t n) {
  constexpr size_t kVectors = 4;
  constexpr size_t kStep = kVectors * Simd::kLanes;
  constexpr size_t kAhead = 1024;  // 4 KiB, past the end of what is read too: a prefetch cannot fail
  const size_t run = n / kStreams;
  typename Simd::I32 sums[kVectors];
  for (auto& sum : sums) sum = Simd::set_i32(0);
  for (size_t i = 0; i < run; i += kStep) {
#pragma GCC unroll 4
    for (size_t s = 0; s < kStreams; ++s) {
      const uint32_t* from = p + s * run + i;
      if constexpr (kPrefetch) {
        for (size_t line = 0; line < kStep; line += 16) __builtin_prefetch(from + kAhead + line);
      }
#pragma GCC unroll 4
      for (size_t v = 0; v < kVectors; ++v) {
        sums[v] = Simd::add_i32(sums[v], Simd::load_i32(from + v * Simd::kLanes));
      }
    }
  }
  const auto sum = Simd::add_i32(Simd::add_i32(sums[0], sums[1]), Simd::add_i32(sums[2], sums[3]));
  return static_cast<uint32_t>(Simd::add_across_i32(sum));
}

template <class Simd>
uint32_t sum_words(const uint32_t* p, size_t n, int way) {
  switch (way) {
    case 0:
      return sum_streams<Simd, 1, false>(p, n);
    case 1:
      return sum_streams<Simd, 1, true>(p, n);
    case 2:
      return sum_streams<Simd, 2, false>(p, n);
    case 3:
      return sum_streams<Simd, 2, true>(p, n);
    case 4:
      return sum_streams<Simd, 4, false>(p, n);
    default:
      return sum_streams<Simd, 4, true>(p, n);
  }
}

// Products of nibbles, the quickest that every set has. As many sums as hide the latency of an instruction that two
// units issue; they fit the registers of all sets.
template <class Simd>
uint64_t multiply_bytes(size_t rounds, uint32_t* total) {
  using Dot = typename Simd::NibbleDot;
  constexpr int kSums = 12;
  int8_t three[4 * Simd::kLanes];
  for (int8_t& byte : three) byte = 3;
  const int8_t two[4] = {2, 2, 2, 2};
  auto w = Simd::load_bytes(three);
  const auto x = Simd::repeat4(two);
  typename Dot::Sum sums[kSums];
  for (auto& sum : sums) sum = Dot::start(0, 0);
  for (size_t round = 0; round < rounds; ++round) {
#pragma GCC unroll 12
    for (int i = 0; i < kSums; ++i) {
      Simd::forget(w);
      Dot::add(sums[i], w, x);
    }
  }
  auto sum = Simd::set_i32(0);
#pragma GCC unroll 12
  for (int i = 0; i < kSums; ++i) sum = Simd::add_i32(sum, Dot::total(sums[i], 0, 0));
  *total = static_cast<uint32_t>(Simd::add_across_i32(sum));
  return uint64_t{kSums} * 4 * Simd::kLanes * rounds;
}

}  // namespace phial::kernels
