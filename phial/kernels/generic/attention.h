// Queries against keys, and weights against values.
//
// A score is one chain of fused multiply-adds a lane and then one tree over the lanes, whatever else is computed beside
// it; an output element is one chain over the keys. Keys and values are a stride apart, which the hardware's prefetcher
// does not follow over pages, so a few rows ahead are asked for here. For many queries some values at a time are
// gathered as floats first: the stride of a cache puts all its rows into a few sets of the first-level cache.
#pragma once

#include <string.h>

#include "phial/kernels/generic/vocabulary.h"

namespace phial::kernels {

template <class T>
static void prefetch_row(const T* row, size_t n) {
  for (size_t byte = 0; byte < n * sizeof(T); byte += 64) {
    __builtin_prefetch(reinterpret_cast<const char*>(row) + byte);
  }
}

constexpr size_t kRowsAhead = 16;  // between the row in use and the one asked of memory

// The sums over the lanes of a, b, c, d, scaled: the first n_keys of them.
template <class Simd, class F32>
inline void store_four_scores(F32 a, F32 b, F32 c, F32 d, size_t n_keys, float scale, float* scores) {
  if (n_keys >= 4) {
    Simd::store_sums4(scores, a, b, c, d, scale);
  } else {
    float four[4];
    Simd::store_sums4(four, a, b, c, d, scale);
    memcpy(scores, four, n_keys * sizeof(float));
  }
}

// scores[t * scores_stride + 0..n_keys) for kQueries queries and up to four keys.
template <class Simd, int kQueries, class T>
void score_four_keys(const float* q, size_t q_stride, const T* keys, size_t key_stride, size_t n_keys, size_t E,
                     float scale, float* scores, size_t scores_stride) {
  const T* key[4];
  for (size_t k = 0; k < 4; ++k) key[k] = keys + key_stride * (k < n_keys ? k : 0);
  typename Simd::F32 sums[kQueries][4];
  for (auto& query : sums) {
    for (auto& sum : query) sum = Simd::zero_f32();
  }
  sweep<Simd>(E, [&](size_t e, auto how) {
    typename Simd::F32 query[kQueries];
#pragma GCC unroll 4
    for (int t = 0; t < kQueries; ++t) query[t] = how.load(q + t * q_stride + e);
#pragma GCC unroll 4
    for (int k = 0; k < 4; ++k) {
      const auto numbers = how.load(key[k] + e);
#pragma GCC unroll 4
      for (int t = 0; t < kQueries; ++t) sums[t][k] = Simd::fma(query[t], numbers, sums[t][k]);
    }
  });
  for (int t = 0; t < kQueries; ++t) {
    store_four_scores<Simd>(sums[t][0], sums[t][1], sums[t][2], sums[t][3], n_keys, scale, scores + t * scores_stride);
  }
}

// Four keys meet all the queries while they are in the first-level cache.
template <class Simd, class T>
void score_rows(const float* q, size_t q_stride, size_t n_queries, const T* keys, size_t key_stride, size_t n_keys,
                size_t E, float scale, float* out, size_t out_stride, bool fetch) {
  constexpr size_t kTile = Simd::kQueryTile;
  for (size_t n = 0; n < n_keys; n += 4) {
    const T* four = keys + n * key_stride;
    for (size_t k = 0; fetch && k < 4; ++k) prefetch_row(four + (kRowsAhead + k) * key_stride, E);
    size_t t = 0;
    for (; t + kTile <= n_queries; t += kTile) {
      score_four_keys<Simd, kTile>(q + t * q_stride, q_stride, four, key_stride, n_keys - n, E, scale,
                                   out + t * out_stride + n, out_stride);
    }
    for (; t < n_queries; ++t) {
      score_four_keys<Simd, 1>(q + t * q_stride, q_stride, four, key_stride, n_keys - n, E, scale,
                               out + t * out_stride + n, out_stride);
    }
  }
}

template <class Simd, class T>
void scores(const float* q, size_t q_stride, size_t n_queries, const T* keys, size_t key_stride, size_t n_keys,
            size_t E, float scale, float* out, size_t out_stride) {
  score_rows<Simd>(q, q_stride, n_queries, keys, key_stride, n_keys, E, scale, out, out_stride, true);
}

// out[t][0..kVectors vectors) += weights . values, for kQueries queries.
template <class Simd, int kQueries, int kVectors, class T, class How>
void mix_columns(const float* weights, size_t weights_stride, const T* values, size_t value_stride, size_t n_keys,
                 float* out, size_t out_stride, bool fetch, How how) {
  typename Simd::F32 sums[kQueries][kVectors];
#pragma GCC unroll 8
  for (int t = 0; t < kQueries; ++t) {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) sums[t][v] = how.load(out + t * out_stride + Simd::kLanes * v);
  }
  for (size_t n = 0; n < n_keys; ++n, values += value_stride) {
    if (fetch) prefetch_row(values + kRowsAhead * value_stride, Simd::kLanes * kVectors);
    typename Simd::F32 weight[kQueries];
#pragma GCC unroll 8
    for (int t = 0; t < kQueries; ++t) weight[t] = Simd::set_f32(weights[t * weights_stride + n]);
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) {
      const auto numbers = how.load(values + Simd::kLanes * v);
#pragma GCC unroll 8
      for (int t = 0; t < kQueries; ++t) sums[t][v] = Simd::fma(weight[t], numbers, sums[t][v]);
    }
  }
#pragma GCC unroll 8
  for (int t = 0; t < kQueries; ++t) {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) how.store(out + t * out_stride + Simd::kLanes * v, sums[t][v]);
  }
}

// Columns [e, E): as many as kVectors vectors hold at a time, the rest with fewer.
template <class Simd, int kQueries, int kVectors, class T>
void mix_width(const float* weights, size_t weights_stride, const T* values, size_t value_stride, size_t n_keys,
               size_t e, size_t E, float* out, size_t out_stride, bool fetch) {
  constexpr size_t kWidth = size_t{Simd::kLanes} * kVectors;
  for (; e + kWidth <= E; e += kWidth) {
    mix_columns<Simd, kQueries, kVectors>(weights, weights_stride, values + e, value_stride, n_keys, out + e,
                                          out_stride, fetch, Whole<Simd>{});
  }
  if constexpr (kVectors > 1) {
    constexpr int kFewer = kVectors > 2 ? kVectors - 2 : 1;
    mix_width<Simd, kQueries, kFewer>(weights, weights_stride, values, value_stride, n_keys, e, E, out, out_stride,
                                      fetch);
  } else if (e < E) {
    mix_columns<Simd, kQueries, 1>(weights, weights_stride, values + e, value_stride, n_keys, out + e, out_stride,
                                   fetch, Part<Simd>{E - e});
  }
}

template <class Simd, class T>
void mix_rows(const float* weights, size_t weights_stride, size_t n_queries, const T* values, size_t value_stride,
              size_t n_keys, size_t E, float* out, size_t out_stride, bool gathered) {
  constexpr size_t kTile = Simd::kQueryTile;
  size_t t = 0;
  for (; t + kTile <= n_queries; t += kTile) {
    mix_width<Simd, kTile, Simd::kMixVectors>(weights + t * weights_stride, weights_stride, values, value_stride,
                                              n_keys, 0, E, out + t * out_stride, out_stride, !gathered && t == 0);
  }
  for (; t < n_queries; ++t) {
    mix_width<Simd, 1, 8>(weights + t * weights_stride, weights_stride, values, value_stride, n_keys, 0, E,
                          out + t * out_stride, out_stride, !gathered && t == 0);
  }
}

constexpr size_t kGatheredRows = 32;  // 14 KiB of heads of 96
constexpr size_t kGatheredMost = 256;

// Some rows as floats, an odd number of cache lines apart; the last vector of each is filled up with zeros.
template <class Simd>
struct Gathered {
  alignas(64) float rows[kGatheredRows * (kGatheredMost + 16)];
  size_t stride;

  template <class T>
  void gather(const T* from, size_t from_stride, size_t n_rows, size_t E) {
    stride = ((E + 15) / 16 | 1) * 16;
    for (size_t n = 0; n < n_rows; ++n, from += from_stride) {
      prefetch_row(from + kRowsAhead * from_stride, E);
      sweep<Simd>(E, [&](size_t e, auto how) { Simd::store_f32(rows + n * stride + e, how.load(from + e)); });
    }
  }
};

template <class Simd, class T>
void mix(const float* weights, size_t weights_stride, size_t n_queries, const T* values, size_t value_stride,
         size_t n_keys, size_t E, float* out, size_t out_stride) {
  if (n_queries <= Simd::kQueryTile || E > kGatheredMost) {
    mix_rows<Simd>(weights, weights_stride, n_queries, values, value_stride, n_keys, E, out, out_stride, false);
    return;
  }
  Gathered<Simd> some;
  for (size_t n = 0; n < n_keys; n += kGatheredRows) {
    const size_t n_some = n_keys - n < kGatheredRows ? n_keys - n : kGatheredRows;
    some.gather(values + n * value_stride, value_stride, n_some, E);
    mix_rows<Simd>(weights + n, weights_stride, n_queries, some.rows, some.stride, n_some, E, out, out_stride, true);
  }
}

template <class Simd>
void dot_rows(const float* query, const float* rows, size_t n, size_t D, float* out) {
  scores<Simd>(query, D, 1, rows, D, n, D, 1.0F, out, n);
}

}  // namespace phial::kernels
