// Keys and values that are stored in blocks with a scale: rounding of rows, and attention over them.
//
// Some rows at a time are written out as floats into the first-level cache, where the loops of attention.h read them.
// So a row is unpacked once for all the queries that share it, and what is computed of it has the bits that floats
// would have given. The numbers themselves are exact: f16 times a small integer fits an f32.
#pragma once

#include "phial/kernels/generic/attention.h"
#include "phial/kernels/generic/vocabulary.h"
#include "phial/kernels/kernels.h"

namespace phial::kernels {

template <class Simd>
void unpack(const KvQ8& block, float* out) {
  const auto scale = Simd::set_f32(Simd::from_f16(block.scale));
#pragma GCC unroll 8
  for (int c = 0; c < kBlock; c += Simd::kLanes) {
    Simd::store_f32(out + c, Simd::mul(scale, Simd::load_i8(block.q + c)));
  }
}

template <class Simd>
void unpack(const KvQ4& block, float* out) {
  constexpr int kHalf = kBlock / 2;
  const auto scale = Simd::set_f32(Simd::from_f16(block.scale));
  const auto min = Simd::set_f32(Simd::from_f16(block.min));
#pragma GCC unroll 8
  for (int c = 0; c < kHalf; c += Simd::kLanes) {
    Simd::store_f32(out + c, Simd::fma(scale, Simd::load_low_nibbles(block.nibbles + c), min));
    Simd::store_f32(out + kHalf + c, Simd::fma(scale, Simd::load_high_nibbles(block.nibbles + c), min));
  }
}

// Some rows of blocks as floats, an odd number of cache lines apart.
template <class Simd>
struct Unpacked {
  static constexpr size_t kMostRows = 32;  // 14 KiB of heads of 96
  alignas(64) float floats[kMostRows * (256 + 16)];
  size_t blocks, stride, most_rows;

  // E at most 8192.
  explicit Unpacked(size_t E) : blocks((E + kBlock - 1) / kBlock), stride(blocks * kBlock + 16) {
    const size_t room = sizeof floats / sizeof *floats / stride;
    most_rows = room < kMostRows ? room : kMostRows;
  }

  template <class Block>
  void rows(const Block* from, size_t from_stride, size_t n_rows) {
    for (size_t n = 0; n < n_rows; ++n, from += from_stride) {
      prefetch_row(from + kRowsAhead * from_stride, blocks);
      for (size_t b = 0; b < blocks; ++b) unpack<Simd>(from[b], floats + n * stride + b * kBlock);
    }
  }
};

template <class Simd, class Block>
void scores_of_blocks(const float* q, size_t q_stride, size_t n_queries, const Block* keys, size_t key_stride,
                      size_t n_keys, size_t E, float scale, float* out, size_t out_stride) {
  Unpacked<Simd> some(E);
  for (size_t n = 0; n < n_keys; n += some.most_rows) {
    const size_t n_some = n_keys - n < some.most_rows ? n_keys - n : some.most_rows;
    some.rows(keys + n * key_stride, key_stride, n_some);
    score_rows<Simd>(q, q_stride, n_queries, some.floats, some.stride, n_some, E, scale, out + n, out_stride, false);
  }
}

template <class Simd, class Block>
void mix_blocks(const float* weights, size_t weights_stride, size_t n_queries, const Block* values, size_t value_stride,
                size_t n_keys, size_t E, float* out, size_t out_stride) {
  Unpacked<Simd> some(E);
  for (size_t n = 0; n < n_keys; n += some.most_rows) {
    const size_t n_some = n_keys - n < some.most_rows ? n_keys - n : some.most_rows;
    some.rows(values + n * value_stride, value_stride, n_some);
    mix_rows<Simd>(weights + n, weights_stride, n_queries, some.floats, some.stride, n_some, E, out, out_stride, true);
  }
}

// The vectors of one block, columns past n filled with the first; their largest and smallest numbers.
template <class Simd>
struct BlockOfFloats {
  static constexpr int kVectors = kBlock / Simd::kLanes;
  typename Simd::F32 v[kVectors];
  float highest, lowest;

  BlockOfFloats(const float* x, size_t n) {
    auto most = Simd::set_f32(x[0]);
    auto least_negated = Simd::set_f32(-x[0]);
    for (int i = 0; i < kVectors; ++i) {
      const size_t begin = size_t{Simd::kLanes} * i;
      if (begin + Simd::kLanes <= n) {
        v[i] = Simd::load_f32(x + begin);
      } else {
        v[i] = begin < n ? Simd::load_some_f32(x + begin, n - begin, x[0]) : Simd::set_f32(x[0]);
      }
      most = Simd::max(most, v[i]);
      least_negated = Simd::max(least_negated, Simd::sub(Simd::zero_f32(), v[i]));
    }
    highest = Simd::max_across(most);
    lowest = 0 - Simd::max_across(least_negated);
  }
};

// The least f16 whose `steps` steps reach as far as `range`, so that no quotient needs to be cut off.
template <class Simd>
uint16_t scale_for(float range, float steps) {
  const uint16_t scale = Simd::to_f16(range / steps);
  return static_cast<uint16_t>(scale + (Simd::from_f16(scale) * steps < range ? 1 : 0));
}

template <class Simd>
typename Simd::F32 inverse_of(uint16_t scale) {
  const float value = Simd::from_f16(scale);
  return Simd::set_f32(value > 0 ? 1 / value : 0);
}

template <class Simd>
void quantize_kv_q8(const float* x, size_t E, KvQ8* out) {
  for (size_t e = 0; e < E; e += kBlock, ++out) {
    const BlockOfFloats<Simd> from(x + e, E - e);
    float most = from.highest > 0 ? from.highest : 0;
    if (most < -from.lowest) most = -from.lowest;
    out->scale = scale_for<Simd>(most, 127);
    const auto inverse = inverse_of<Simd>(out->scale);
    for (int i = 0; i < from.kVectors; ++i) {
      Simd::store_i8(out->q + Simd::kLanes * i, Simd::to_i32(Simd::mul(from.v[i], inverse)));
    }
  }
}

template <class Simd>
void quantize_kv_q4(const float* x, size_t E, KvQ4* out) {
  for (size_t e = 0; e < E; e += kBlock, ++out) {
    const BlockOfFloats<Simd> from(x + e, E - e);
    out->min = Simd::to_f16(from.lowest);
    const float min = Simd::from_f16(out->min);
    out->scale = scale_for<Simd>(from.highest > min ? from.highest - min : 0, 15);
    const auto inverse = inverse_of<Simd>(out->scale);
    int8_t n[kBlock];
    for (int i = 0; i < from.kVectors; ++i) {
      const auto steps = Simd::mul(Simd::sub(from.v[i], Simd::set_f32(min)), inverse);
      Simd::store_i8(n + Simd::kLanes * i, Simd::to_i32(Simd::max(steps, Simd::zero_f32())));
    }
    for (int c = 0; c < kBlock / 2; ++c) {
      out->nibbles[c] = static_cast<uint8_t>(n[c] | n[c + kBlock / 2] << 4);
    }
  }
}

}  // namespace phial::kernels
