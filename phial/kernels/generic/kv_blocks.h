// Keys and values that are stored in blocks with a scale: rounding of rows, and attention over them.
//
// For several queries some rows at a time are written out as floats into the first-level cache, where the loops of
// attention.h read them: a row is unpacked once for all. One query, which needs each number once, unpacks in registers.
// What is computed of a row has the bits that floats would have given, either way. The numbers themselves are exact:
// f16 times a small integer fits an f32.
#pragma once

#include "phial/kernels/generic/attention.h"
#include "phial/kernels/generic/vocabulary.h"
#include "phial/kernels/kernels.h"

namespace phial::kernels {

template <class Simd>
constexpr int kBlockVectors = kBlock / Simd::kLanes;

// The numbers of a block: vector(i) holds kLanes columns from kLanes * i on.
template <class Simd, class Block>
struct BlockNumbers;
template <class Simd>
struct BlockNumbers<Simd, KvQ8> {
  using F32 = typename Simd::F32;
  const KvQ8& block;
  F32 scale;

  explicit BlockNumbers(const KvQ8& from) : block(from), scale(Simd::set_f32(Simd::from_f16(from.scale))) {}
  F32 vector(int i) const { return Simd::mul(scale, Simd::load_i8(block.q + Simd::kLanes * i)); }
};
template <class Simd>
struct BlockNumbers<Simd, KvQ4> {
  using F32 = typename Simd::F32;
  const KvQ4& block;
  F32 scale, min;

  explicit BlockNumbers(const KvQ4& from)
      : block(from), scale(Simd::set_f32(Simd::from_f16(from.scale))), min(Simd::set_f32(Simd::from_f16(from.min))) {}
  F32 vector(int i) const {
    constexpr int kHalf = kBlockVectors<Simd> / 2;
    const uint8_t* nibbles = block.nibbles + Simd::kLanes * (i % kHalf);
    return Simd::fma(scale, i < kHalf ? Simd::load_low_nibbles(nibbles) : Simd::load_high_nibbles(nibbles), min);
  }
};

template <class Simd, class Block>
void unpack(const Block& block, float* out) {
  const BlockNumbers<Simd, Block> numbers(block);
#pragma GCC unroll 8
  for (int i = 0; i < kBlockVectors<Simd>; ++i) Simd::store_f32(out + Simd::kLanes * i, numbers.vector(i));
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

// One query against up to four keys, with the sums of score_four_keys.
template <class Simd, class Block>
void score_four_keys_of_blocks(const float* q, const Block* keys, size_t key_stride, size_t n_keys, size_t blocks,
                               float scale, float* scores) {
  constexpr int kVectors = kBlockVectors<Simd>;
  const Block* key[4];
  for (size_t k = 0; k < 4; ++k) key[k] = keys + key_stride * (k < n_keys ? k : 0);
  typename Simd::F32 sums[4];
  for (auto& sum : sums) sum = Simd::zero_f32();
  for (size_t b = 0; b < blocks; ++b, q += kBlock) {
    typename Simd::F32 query[kVectors];
#pragma GCC unroll 8
    for (int i = 0; i < kVectors; ++i) query[i] = Simd::load_f32(q + Simd::kLanes * i);
#pragma GCC unroll 4
    for (int k = 0; k < 4; ++k) {
      const BlockNumbers<Simd, Block> numbers(key[k][b]);
#pragma GCC unroll 8
      for (int i = 0; i < kVectors; ++i) sums[k] = Simd::fma(query[i], numbers.vector(i), sums[k]);
    }
  }
  store_four_scores<Simd>(sums[0], sums[1], sums[2], sums[3], n_keys, scale, scores);
}

// One query's weights times some rows that stay in the first-level cache, with the sums of mix_columns.
template <class Simd, class Block>
void mix_rows_of_blocks(const float* weights, const Block* values, size_t value_stride, size_t n_keys, size_t blocks,
                        float* out) {
  constexpr int kVectors = kBlockVectors<Simd>;
  for (size_t b = 0; b < blocks; ++b, out += kBlock) {
    typename Simd::F32 sums[kVectors];
#pragma GCC unroll 8
    for (int i = 0; i < kVectors; ++i) sums[i] = Simd::load_f32(out + Simd::kLanes * i);
    const Block* row = values;
    for (size_t n = 0; n < n_keys; ++n, row += value_stride) {
      if (b == 0) prefetch_row(row + kRowsAhead * value_stride, blocks);
      const BlockNumbers<Simd, Block> numbers(row[b]);
      const auto weight = Simd::set_f32(weights[n]);
#pragma GCC unroll 8
      for (int i = 0; i < kVectors; ++i) sums[i] = Simd::fma(weight, numbers.vector(i), sums[i]);
    }
#pragma GCC unroll 8
    for (int i = 0; i < kVectors; ++i) Simd::store_f32(out + Simd::kLanes * i, sums[i]);
  }
}

template <class Simd, class Block>
void scores_of_blocks(const float* q, size_t q_stride, size_t n_queries, const Block* keys, size_t key_stride,
                      size_t n_keys, size_t E, float scale, float* out, size_t out_stride) {
  if (n_queries == 1 && E % kBlock == 0) {
    const size_t blocks = E / kBlock;
    for (size_t n = 0; n < n_keys; n += 4) {
      const Block* four = keys + n * key_stride;
      for (size_t k = 0; k < 4; ++k) prefetch_row(four + (kRowsAhead + k) * key_stride, blocks);
      score_four_keys_of_blocks<Simd>(q, four, key_stride, n_keys - n, blocks, scale, out + n);
    }
    return;
  }
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
    const Block* rows = values + n * value_stride;
    if (n_queries == 1 && E % kBlock == 0) {
      mix_rows_of_blocks<Simd>(weights + n, rows, value_stride, n_some, some.blocks, out);
      continue;
    }
    some.rows(rows, value_stride, n_some);
    mix_rows<Simd>(weights + n, weights_stride, n_queries, some.floats, some.stride, n_some, E, out, out_stride, true);
  }
}

// The vectors of one block, columns past n filled with the first; their largest and smallest numbers.
template <class Simd>
struct BlockOfFloats {
  static constexpr int kVectors = kBlockVectors<Simd>;
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
