// The words that an ISA brings, as `struct Simd` in an anonymous namespace, and that the templates of this folder
// speak. (Its own namespace keeps every instance of a template out of the linker's sight.)
//
//   kLanes              32-bit lanes in a vector: 16, 8 or 4
//   kQueryTile          queries in flight in attention; kMixVectors output vectors of each
//   kStreamTokens       tokens up to which the integer products stream their weights; tile rows in flight times tokens
//   kStreamRows         tile rows in flight for one token: a power of two
//   kGemmBlocks         blocks that the integer products unpack at a time, for many tokens
//   kGemmRows, kGemmTokens, kF32Rows, kF32Tokens
//                       tile rows x tokens held in registers by the integer and by the f32 products
//   F32, I32, Bytes     vectors of kLanes floats, ints, and groups of four bytes
//
//   zero_f32 set_f32 load_f32 store_f32 load_some_f32(p, n, fill) store_some_f32(p, v, n)
//   load_f16 load_some_f16(p, n) store_f16 store_some_f16            (n < kLanes; nothing past n is touched)
//   to_f16 from_f16     of one number
//   load_i8 load_low_nibbles load_high_nibbles       kLanes bytes, or their halves, as floats
//   add sub mul div max abs sqrt  fma(a, b, c) = a b + c  fnma(a, b, c) = c - a b
//   mul_add(a, b, c)    a b + c, rounded once or twice: where a bound is promised, not bits
//   max(a, b)           NaN where b is; where a alone is, either
//   round               to the nearest integer, ties to even
//   times_power_of_2(x, n)           n a whole number in -252..252
//   if_negative(x, a, b)             a in the lanes where x < 0, else b
//   max_across add_across            one number from all lanes
//   store_sums4(p, a, b, c, d, scale)      p[0] = scale * sum over the lanes of a, ...; each by the same tree
//   load_i32            kLanes words
//   forget(v)           the compiler no longer knows what the bytes v are
//   held(v)             v in a register: many a compiler would load it from memory again for each use
//   set_i32 add_i32 add_across_i32 to_f32 to_i32 (ties to even) store_i8
//   load_bytes store_bytes low_nibbles high_nibbles
//   bits<shift, mask>(v)             (byte >> shift) & mask of each byte;  either(a, b) the bits of both
//   load_table(p) look_up(table, v)  the one of 16 bytes at p that each byte of v, 0..15, names
//   load_f8(p, unit)    kLanes numbers: the half of a byte's sign and, after a bit of 0, its other bits, times unit
//   repeat4(p)          the four bytes at p, in every lane
//   NibbleDot           sums of four products w x a lane, w in 0..15, x in -127..127, over a block of 32 columns:
//                       start(bias, x_sum), add(sum, w, x), total(sum, bias, x_sum) = the sum of all (w - bias) x, if
//                       x_sum is that of x
//   CodeDot             the same for w in 0..127
//   ByteDot             the same for w in -127..127 as prepare(w) stores it, w + kBias
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace phial::kernels {

// How a vector's worth of an array is touched: all of it, or the first few lanes.
template <class Simd>
struct Whole {
  using F32 = typename Simd::F32;
  static F32 load(const float* p, float = 0) { return Simd::load_f32(p); }
  static F32 load(const uint16_t* p) { return Simd::load_f16(p); }
  static void store(float* p, F32 v) { Simd::store_f32(p, v); }
  static void store(uint16_t* p, F32 v) { Simd::store_f16(p, v); }
};
template <class Simd>
struct Part {
  using F32 = typename Simd::F32;
  size_t n;
  F32 load(const float* p, float fill = 0) const { return Simd::load_some_f32(p, n, fill); }
  F32 load(const uint16_t* p) const { return Simd::load_some_f16(p, n); }
  void store(float* p, F32 v) const { Simd::store_some_f32(p, v, n); }
  void store(uint16_t* p, F32 v) const { Simd::store_some_f16(p, v, n); }
};

// body(i, how) for every vector of [0, n). Never a call: sums that a body refers to would have to be in memory.
template <class Simd, class Body>
[[gnu::always_inline]] inline void sweep(size_t n, Body body) {
  size_t i = 0;
  for (; i + Simd::kLanes <= n; i += Simd::kLanes) body(i, Whole<Simd>{});
  if (i < n) body(i, Part<Simd>{n - i});
}

}  // namespace phial::kernels
