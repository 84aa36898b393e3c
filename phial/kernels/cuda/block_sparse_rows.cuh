// What a warp does with its 16 rows of scores, weights and sums between products: fragments as in tensor_cores.cuh.
// For device code only.
#pragma once

#include <cmath>

#include "phial/kernels/cuda/block_sparse_device.cuh"
#include "phial/kernels/cuda/tensor_cores.cuh"

namespace phial::kernels::cuda {

inline constexpr int kWarpRows = 16;
inline constexpr int kColumnTiles = kTileTokens / 8;  // fragments of a row of scores

// Of a warp's 16 rows: of each thread's two.
struct RowSums {
  float largest[2] = {-INFINITY, -INFINITY}, sum[2] = {0, 0};
};

// Scores become weights exp(scale (score - largest)), and what was summed before is made smaller to suit.
template <int D>
__device__ inline void soften(float (&scores)[kColumnTiles][4], float scale_log2, RowSums& rows,
                              float (&mixed)[D / 8][4]) {
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    float largest = rows.largest[half];
#pragma unroll
    for (int n = 0; n < kColumnTiles; ++n)
      largest = fmaxf(largest, fmaxf(scores[n][2 * half], scores[n][2 * half + 1]));
    largest = fmaxf(largest, __shfl_xor_sync(~0U, largest, 1));
    largest = fmaxf(largest, __shfl_xor_sync(~0U, largest, 2));
    // A row that has seen nothing yet keeps nothing.
    const float offset = largest == -INFINITY ? 0 : largest * scale_log2;
    const float shrink = exp2_fast(rows.largest[half] * scale_log2 - offset);
    rows.largest[half] = largest;
    float sum = 0;
#pragma unroll
    for (int n = 0; n < kColumnTiles; ++n) {
#pragma unroll
      for (int i = 2 * half; i < 2 * half + 2; ++i) sum += scores[n][i] = exp2_fast(scores[n][i] * scale_log2 - offset);
    }
    rows.sum[half] = rows.sum[half] * shrink + sum;
#pragma unroll
    for (int n = 0; n < D / 8; ++n) {
      mixed[n][2 * half] *= shrink;
      mixed[n][2 * half + 1] *= shrink;
    }
  }
}

// The sum of a row's weights: in all threads of the row.
__device__ inline float row_sum(const RowSums& rows, int half) {
  float sum = rows.sum[half];
  sum += __shfl_xor_sync(~0U, sum, 1);
  return sum + __shfl_xor_sync(~0U, sum, 2);
}

// 16 rows of D numbers, in fragments, to memory by way of shared memory of this warp; rows from `valid` on are left
// out.
template <int D>
__device__ inline void write_rows(const float (&rows)[D / 8][4], float factor, Bf16* space, Bf16* to, int64_t stride,
                                  int valid, int E) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
#pragma unroll
  for (int n = 0; n < D / 8; ++n) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      *reinterpret_cast<uint32_t*>(space + (lane / 4 + 8 * half) * kRowStride<D> + 8 * n + lane % 4 * 2) =
          packed(rows[n][2 * half] * factor, rows[n][2 * half + 1] * factor);
    }
  }
  __syncwarp();
  for (int piece = lane; piece < kWarpRows * D / 8; piece += 32) {
    const int row = piece / (D / 8), column = piece % (D / 8) * 8;
    if (row < valid && column < E) {
      *reinterpret_cast<uint4*>(to + row * stride + column) =
          *reinterpret_cast<const uint4*>(space + row * kRowStride<D> + column);
    }
  }
  __syncwarp();
}

// The first of a document's numbers of rows [B, H, T] of a head.
__device__ inline int64_t first_of_rows(const BlockSparseProblem& problem, const DocumentPlace& document, int head) {
  return (int64_t{document.row} * problem.tiles.n_heads + head) * problem.tokens + document.first;
}

// What forward leaves of a warp's rows, the first at `position`: the output, and each row's log-sum-exp.
template <int D>
__device__ inline void write_mixed(float (&mixed)[D / 8][4], const RowSums& rows, const BlockSparseProblem& problem,
                                   const DocumentPlace& document, int head, int position, Bf16* space) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const float sum = row_sum(rows, half);
    const int row = position + lane / 4 + 8 * half;
    if (lane % 4 == 0 && row < document.tokens) {
      static_cast<float*>(problem.log_sums)[first_of_rows(problem, document, head) + row] =
          rows.largest[half] * static_cast<float>(problem.scale) + logf(sum);
    }
#pragma unroll
    for (int n = 0; n < D / 8; ++n) {
      mixed[n][2 * half] /= sum;
      mixed[n][2 * half + 1] /= sum;
    }
  }
  write_rows<D>(mixed, 1, space, place<Bf16>(problem.mixed, document, head, position), problem.mixed.token,
                document.tokens - position, problem.head_dim);
}

// Whether a fragment's number c of column tile n is a pair that is hidden, for warps whose rows are queries from
// `query` on and whose columns are keys from `key` on.
template <bool kExact>
__device__ inline bool is_hidden(const VisiblePairs& visible, int query, int key, int n, int c) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int i = query + lane / 4 + c / 2 * 8, j = key + 8 * n + lane % 4 * 2 + c % 2;
  return kExact ? j > i : !visible(i, j);
}

// The same for rows that are keys and columns that are queries.
template <bool kExact>
__device__ inline bool is_hidden_transposed(const VisiblePairs& visible, int query, int key, int n, int c) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int i = query + 8 * n + lane % 4 * 2 + c % 2, j = key + lane / 4 + c / 2 * 8;
  return kExact ? j > i : !visible(i, j);
}

// Scores of pairs that are hidden count for nothing.
template <bool kExact>
__device__ inline void hide(float (&scores)[kColumnTiles][4], const VisiblePairs& visible, int query, int key) {
#pragma unroll
  for (int n = 0; n < kColumnTiles; ++n) {
#pragma unroll
    for (int c = 0; c < 4; ++c) {
      if (is_hidden<kExact>(visible, query, key, n, c)) scores[n][c] = -INFINITY;
    }
  }
}

// What the gradients of scores need of a thread's two rows, whose warp's first is at `position`.
struct RowNumbers {
  float log_sums[2] = {}, means[2] = {};  // the former as powers of two

  __device__ RowNumbers(const BlockSparsePass& pass, const DocumentPlace& document, int head, int position) {
    const int lane = static_cast<int>(threadIdx.x) % 32;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int row = position + lane / 4 + 8 * half;
      if (row >= document.tokens) continue;
      const int64_t at = first_of_rows(pass.problem, document, head) + row;
      log_sums[half] = static_cast<const float*>(pass.problem.log_sums)[at] * static_cast<float>(kLog2E);
      means[half] = static_cast<const float*>(pass.gradients.means)[at];
    }
  }
};

// Scores become their gradients, but for the scale. `of_weights`: the gradients of the weights.
template <bool kExact>
__device__ inline void differentiate(float (&scores)[kColumnTiles][4], const float (&of_weights)[kColumnTiles][4],
                                     const RowNumbers& rows, float scale_log2, bool has_hidden,
                                     const VisiblePairs& visible, int query, int key) {
#pragma unroll
  for (int n = 0; n < kColumnTiles; ++n) {
#pragma unroll
    for (int c = 0; c < 4; ++c) {
      float weight = exp2_fast(scores[n][c] * scale_log2 - rows.log_sums[c / 2]);
      if (has_hidden && is_hidden<kExact>(visible, query, key, n, c)) weight = 0;
      scores[n][c] = weight * (of_weights[n][c] - rows.means[c / 2]);
    }
  }
}

// Begins to copy, by 128 threads, the log-sum-exps of a head's tile of queries, and behind them their means, to shared
// memory; commits nothing.
__device__ inline void copy_row_numbers(float* to, const BlockSparsePass& pass, const DocumentPlace& document, int head,
                                        int tile) {
  const int row = static_cast<int>(threadIdx.x) % kTileTokens, from = tile * kTileTokens;
  const bool is_mean = static_cast<int>(threadIdx.x) >= kTileTokens, is_there = row < document.tokens - from;
  const auto* const rows = static_cast<const float*>(is_mean ? pass.gradients.means : pass.problem.log_sums) +
                           first_of_rows(pass.problem, document, head) + from;
  copy_begin<4>(to + is_mean * kTileTokens + row, is_there ? rows + row : rows, is_there);
}

// Where rows are keys and columns queries: scores become weights.
template <bool kExact>
__device__ inline void weigh_columns(float (&scores)[kColumnTiles][4], const float* log_sums, float scale_log2,
                                     bool has_hidden, const VisiblePairs& visible, int query, int key) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
#pragma unroll
  for (int n = 0; n < kColumnTiles; ++n) {
#pragma unroll
    for (int c = 0; c < 4; ++c) {
      const float log_sum = log_sums[8 * n + lane % 4 * 2 + c % 2] * static_cast<float>(kLog2E);
      scores[n][c] = exp2_fast(scores[n][c] * scale_log2 - log_sum);
      if (has_hidden && is_hidden_transposed<kExact>(visible, query, key, n, c)) scores[n][c] = 0;
    }
  }
}

// Then weights become the gradients of scores, but for the scale.
__device__ inline void differentiate_columns(float (&weights)[kColumnTiles][4],
                                             const float (&of_weights)[kColumnTiles][4], const float* means) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
#pragma unroll
  for (int n = 0; n < kColumnTiles; ++n) {
#pragma unroll
    for (int c = 0; c < 4; ++c) weights[n][c] *= of_weights[n][c] - means[8 * n + lane % 4 * 2 + c % 2];
  }
}

}  // namespace phial::kernels::cuda
