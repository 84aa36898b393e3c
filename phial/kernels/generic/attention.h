// Queries against keys, and weights against values.
//
// A score is one chain of multiply-adds a lane and then one tree over the lanes, whatever else is computed beside
// it; an output element is one chain over the keys. Rows of a cache come in short runs, over whose ends the hardware's
// prefetcher does not see, so what is read some KiB later is asked for here, over the end of a run too. For many
// queries some values at a time are gathered as floats first: the stride of a cache puts all its rows into a few sets
// of the first-level cache.
#pragma once

#include <string.h>

#include "phial/kernels/generic/vocabulary.h"
#include "phial/kernels/kernels.h"

namespace phial::kernels {

// Asks memory for the rows that are read after these, while these are read: as much of them, but no more than there is,
// the two halves side by side. A run of a cache is 4 to 32 KiB, which the second-level cache holds twice; two streams
// are read faster than one (docs/decisions/0005-kv-cache.md). A template for its linkage: Simd is of one object file.
template <class Simd>
class ReadAhead {
 public:
  template <class T>
  explicit ReadAhead(const KvRows<T>& rows)
      : next_(static_cast<const char*>(rows.next)),
        half_((rows.n_next * rows.stride * sizeof(T) / 2 + 63) & ~size_t{63}) {}

  // So many bytes more of the rows are being read.
  void read(size_t bytes) {
    if (next_ == nullptr) return;
    due_ += bytes / 2;
    for (const size_t end = due_ < half_ ? due_ : half_; asked_ < end; asked_ += 64) {
      __builtin_prefetch(next_ + asked_, 0, 2);
      __builtin_prefetch(next_ + half_ + asked_, 0, 2);
    }
  }

 private:
  const char* next_;
  size_t half_;
  size_t asked_ = 0, due_ = 0;  // of each half
};

// The sums over the lanes of kKeys vectors (4 or 8), scaled: the first n_keys of them.
template <class Simd, int kKeys>
inline void store_scores(const typename Simd::F32 (&sums)[kKeys], size_t n_keys, float scale, float* scores) {
  float some[kKeys];
  float* const to = n_keys >= kKeys ? scores : some;
#pragma GCC unroll 2
  for (int k = 0; k < kKeys; k += 4) Simd::store_sums4(to + k, sums[k], sums[k + 1], sums[k + 2], sums[k + 3], scale);
  if (n_keys < kKeys) memcpy(scores, some, n_keys * sizeof *scores);
}

// scores[t * scores_stride + 0..n_keys) for kQueries queries and up to kKeys keys.
template <class Simd, int kQueries, int kKeys, class T>
void score_keys(const float* q, size_t q_stride, const T* keys, size_t key_stride, size_t n_keys, size_t E, float scale,
                float* scores, size_t scores_stride, ReadAhead<Simd>* ahead) {
  const T* key[kKeys];
#pragma GCC unroll 8
  for (size_t k = 0; k < kKeys; ++k) key[k] = keys + (k < n_keys ? k * key_stride : 0);
  typename Simd::F32 sums[kQueries][kKeys];
#pragma GCC unroll 4
  for (int t = 0; t < kQueries; ++t) {
#pragma GCC unroll 8
    for (int k = 0; k < kKeys; ++k) sums[t][k] = Simd::zero_f32();
  }
  sweep<Simd>(E, [&](size_t e, auto how) {
    if (ahead != nullptr) ahead->read(kKeys * Simd::kLanes * sizeof(T));
    typename Simd::F32 query[kQueries];
#pragma GCC unroll 4
    for (int t = 0; t < kQueries; ++t) query[t] = how.load(q + t * q_stride + e);
#pragma GCC unroll 8
    for (int k = 0; k < kKeys; ++k) {
      const auto numbers = Simd::held(how.load(key[k] + e));
#pragma GCC unroll 4
      for (int t = 0; t < kQueries; ++t) sums[t][k] = Simd::mul_add(query[t], numbers, sums[t][k]);
    }
  });
#pragma GCC unroll 4
  for (int t = 0; t < kQueries; ++t) store_scores<Simd>(sums[t], n_keys, scale, scores + t * scores_stride);
}

// Queries [t, n_queries) against those keys, kQueries at a time, the rest with fewer.
template <class Simd, int kQueries, int kKeys, class T>
void score_queries(const float* q, size_t q_stride, size_t t, size_t n_queries, const T* keys, size_t key_stride,
                   size_t n_keys, size_t E, float scale, float* scores, size_t scores_stride, ReadAhead<Simd>* ahead) {
  for (; t + kQueries <= n_queries; t += kQueries) {
    score_keys<Simd, kQueries, kKeys>(q + t * q_stride, q_stride, keys, key_stride, n_keys, E, scale,
                                      scores + t * scores_stride, scores_stride, t == 0 ? ahead : nullptr);
  }
  if constexpr (kQueries > 1) {
    if (t == n_queries) return;
    score_queries<Simd, kQueries - 1, kKeys>(q, q_stride, t, n_queries, keys, key_stride, n_keys, E, scale, scores,
                                             scores_stride, ahead);
  }
}

// Some keys meet all the queries while they are in the first-level cache. No `ahead`: the rows are there already.
template <class Simd, int kQueries, int kKeys, class T>
void score_rows(const float* q, size_t q_stride, size_t n_queries, const KvRows<T>& keys, size_t E, float scale,
                float* out, size_t out_stride, ReadAhead<Simd>* ahead) {
  for (size_t n = 0; n < keys.n; n += kKeys) {
    score_queries<Simd, kQueries, kKeys>(q, q_stride, 0, n_queries, keys.first + n * keys.stride, keys.stride,
                                         keys.n - n, E, scale, out + n, out_stride, ahead);
  }
}

template <class Simd, class T>
void scores(const float* q, size_t q_stride, size_t n_queries, const KvRows<T>& keys, size_t E, float scale, float* out,
            size_t out_stride) {
  ReadAhead<Simd> ahead(keys);
  if (n_queries == 1) {
    score_rows<Simd, 1, 8>(q, q_stride, 1, keys, E, scale, out, out_stride, &ahead);
  } else {
    score_rows<Simd, Simd::kQueryTile, 4>(q, q_stride, n_queries, keys, E, scale, out, out_stride, &ahead);
  }
}

// out[t][0..kVectors vectors) += weights . values from column e of E on, for kQueries queries.
template <class Simd, int kQueries, int kVectors, class T, class How>
void mix_columns(const float* weights, size_t weights_stride, const KvRows<T>& values, size_t e, size_t E, float* out,
                 size_t out_stride, ReadAhead<Simd>* ahead, How how) {
  typename Simd::F32 sums[kQueries][kVectors];
#pragma GCC unroll 8
  for (int t = 0; t < kQueries; ++t) {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) sums[t][v] = how.load(out + t * out_stride + e + Simd::kLanes * v);
  }
  const T* row = values.first;
  for (size_t n = 0; n < values.n; ++n, row += values.stride) {
    if (ahead != nullptr) ahead->read(E * sizeof(T));
    typename Simd::F32 weight[kQueries];
#pragma GCC unroll 8
    for (int t = 0; t < kQueries; ++t) weight[t] = Simd::set_f32(weights[t * weights_stride + n]);
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) {
      const auto numbers = Simd::held(how.load(row + e + Simd::kLanes * v));
#pragma GCC unroll 8
      for (int t = 0; t < kQueries; ++t) sums[t][v] = Simd::fma(weight[t], numbers, sums[t][v]);
    }
  }
#pragma GCC unroll 8
  for (int t = 0; t < kQueries; ++t) {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) how.store(out + t * out_stride + e + Simd::kLanes * v, sums[t][v]);
  }
}

// Columns [e, E): as many as kVectors vectors hold at a time, the rest with fewer.
template <class Simd, int kQueries, int kVectors, class T>
void mix_width(const float* weights, size_t weights_stride, const KvRows<T>& values, size_t e, size_t E, float* out,
               size_t out_stride, ReadAhead<Simd>* ahead) {
  constexpr size_t kWidth = size_t{Simd::kLanes} * kVectors;
  for (; e + kWidth <= E; e += kWidth) {
    mix_columns<Simd, kQueries, kVectors>(weights, weights_stride, values, e, E, out, out_stride,
                                          e == 0 ? ahead : nullptr, Whole<Simd>{});
  }
  if constexpr (kVectors > 1) {
    constexpr int kFewer = kVectors > 2 ? kVectors - 2 : 1;
    mix_width<Simd, kQueries, kFewer>(weights, weights_stride, values, e, E, out, out_stride, ahead);
  } else if (e < E) {
    mix_columns<Simd, kQueries, 1>(weights, weights_stride, values, e, E, out, out_stride, e == 0 ? ahead : nullptr,
                                   Part<Simd>{E - e});
  }
}

// Queries [t, n_queries), kQueries at a time, the rest with fewer. No `ahead`: the rows are in the first-level cache
// already.
template <class Simd, int kQueries, class T>
void mix_rows(const float* weights, size_t weights_stride, size_t t, size_t n_queries, const KvRows<T>& values,
              size_t E, float* out, size_t out_stride, ReadAhead<Simd>* ahead) {
  constexpr int kVectors = kQueries > 1 ? Simd::kMixVectors : 8;
  for (; t + kQueries <= n_queries; t += kQueries) {
    mix_width<Simd, kQueries, kVectors>(weights + t * weights_stride, weights_stride, values, 0, E,
                                        out + t * out_stride, out_stride, t == 0 ? ahead : nullptr);
  }
  if constexpr (kQueries > 1) {
    if (t == n_queries) return;
    mix_rows<Simd, kQueries - 1>(weights, weights_stride, t, n_queries, values, E, out, out_stride, ahead);
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
  void gather(const KvRows<T>& from, size_t E, ReadAhead<Simd>& ahead) {
    stride = ((E + 15) / 16 | 1) * 16;
    const T* row = from.first;
    for (size_t n = 0; n < from.n; ++n, row += from.stride) {
      ahead.read(E * sizeof(T));
      sweep<Simd>(E, [&](size_t e, auto how) { Simd::store_f32(rows + n * stride + e, how.load(row + e)); });
    }
  }
};

// Rows [n, n + most), or as many as there are. Static, since T alone would give it linkage (decision 0004).
template <class T>
static KvRows<T> some_of(const KvRows<T>& rows, size_t n, size_t most) {
  return {rows.first + n * rows.stride, rows.stride, rows.n - n < most ? rows.n - n : most};
}

template <class Simd, class T>
void mix(const float* weights, size_t weights_stride, size_t n_queries, const KvRows<T>& values, size_t E, float* out,
         size_t out_stride) {
  ReadAhead<Simd> ahead(values);
  if (n_queries <= Simd::kQueryTile || E > kGatheredMost) {
    mix_rows<Simd, Simd::kQueryTile>(weights, weights_stride, 0, n_queries, values, E, out, out_stride, &ahead);
    return;
  }
  Gathered<Simd> floats;
  for (size_t n = 0; n < values.n; n += kGatheredRows) {
    const KvRows<T> some = some_of(values, n, kGatheredRows);
    floats.gather(some, E, ahead);
    mix_rows<Simd, Simd::kQueryTile>(weights + n, weights_stride, 0, n_queries,
                                     KvRows<float>{floats.rows, floats.stride, some.n}, E, out, out_stride, nullptr);
  }
}

template <class Simd>
void dot_rows(const float* query, const float* rows, size_t n, size_t D, float* out) {
  scores<Simd>(query, D, 1, KvRows<float>{rows, D, n}, D, 1.0F, out, n);
}

}  // namespace phial::kernels
