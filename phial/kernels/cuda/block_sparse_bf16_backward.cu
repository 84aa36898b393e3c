// Three kernels: each row's mean gradient of its weights; the queries' gradients, tile by tile of a head; the keys' and
// values', tile by tile of a key-value head. The last two make scores anew, so that each gathers in registers what it
// writes once: two products more than one kernel that adds to memory, and the same bits every time.
#include "phial/kernels/cuda/block_sparse_device.cuh"
#include "phial/kernels/cuda/block_sparse_rows.cuh"
#include "phial/kernels/cuda/launch.cuh"
#include "phial/kernels/cuda/numbers.cuh"
#include "phial/kernels/cuda/tensor_cores.cuh"

namespace phial::kernels::cuda {
namespace {

constexpr int kMeanWarps = 8;
constexpr int kQueryThreads = 256, kKeyThreads = 128;

template <int D>
constexpr int kTileNumbers = kTileTokens * kRowStride<D>;

// means[b, h, t]: the products of the output and its gradient, added up: a warp a row.
__global__ void __launch_bounds__(32 * kMeanWarps)
    mean_gradients(const __grid_constant__ BlockSparsePass pass, int64_t n) {
  constexpr int N = 4;
  const BlockSparseProblem& problem = pass.problem;
  const AttentionTensor &out = problem.mixed, &gradient = pass.gradients.of_mixed;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int64_t row = static_cast<int64_t>(blockIdx.x) * kMeanWarps + threadIdx.x / 32;
  if (row >= n) return;
  const int64_t t = row % problem.tokens, h = row / problem.tokens % problem.tiles.n_heads;
  const int64_t b = row / problem.tokens / problem.tiles.n_heads;
  const auto* const x = static_cast<const Bf16*>(out.data) + b * out.batch + h * out.head + t * out.token;
  const auto* const g =
      static_cast<const Bf16*>(gradient.data) + b * gradient.batch + h * gradient.head + t * gradient.token;
  float sum = 0;
  for (int e = lane * N; e < problem.head_dim; e += 32 * N) {
    const auto some = *reinterpret_cast<const Numbers<Bf16, N>*>(x + e);
    const auto other = *reinterpret_cast<const Numbers<Bf16, N>*>(g + e);
    for (int i = 0; i < N; ++i) sum += widened(some.at[i]) * widened(other.at[i]);
  }
  for (int lanes = 16; lanes > 0; lanes /= 2) sum += __shfl_xor_sync(~0U, sum, lanes);
  if (lane == 0) static_cast<float*>(pass.gradients.means)[row] = sum;
}

// Eight warps compute two query tiles of a head, 16 rows each, whose fragments stay in registers; keys and values come
// by turns into two places each.
template <int D, bool kExact>
__global__ void __launch_bounds__(kQueryThreads) of_queries(const __grid_constant__ BlockSparsePass pass) {
  extern __shared__ __align__(16) unsigned char shared_bytes[];
  auto* const places = reinterpret_cast<Bf16*>(shared_bytes);  // keys, values, keys, values: [64, D] each

  const BlockSparseProblem& problem = pass.problem;
  const BlockSparseTiles& tiles = problem.tiles;
  const QueryWork work(tiles, static_cast<int>(blockIdx.x));
  const DocumentPlace document(tiles, work.document);
  const int last_tile = min(work.first_tile + kQueryTiles, document.n_tiles()) - 1;
  const KeyTiles key_tiles(tiles, work.head, work.first_tile, last_tile);
  const int E = problem.head_dim, warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
  const int tile = work.first_tile + warp * kWarpRows / kTileTokens;
  const bool has_rows = tile <= last_tile;
  const int first_near = has_rows ? tiles.first_near[tile] : 0;
  const int first_row = work.first_tile * kTileTokens + warp * kWarpRows;
  const float scale_log2 = static_cast<float>(problem.scale * kLog2E);
  const VisiblePairs visible(tiles, work.head);

  const int first_query = work.first_tile * kTileTokens;
  const auto keep_rows = [&](const AttentionTensor& from, uint32_t(&kept)[D / 16][4]) {
    copy_rows<D, kQueryTiles * kTileTokens, kQueryThreads>(places,
                                                           place<const Bf16>(from, document, work.head, first_query),
                                                           from.token, document.tokens - first_query, E);
    copies_commit();
    copies_wait<0>();
    __syncthreads();
#pragma unroll
    for (int k = 0; k < D / 16; ++k) load_a<D>(kept[k], places, warp * kWarpRows, 16 * k);
    __syncthreads();
  };
  uint32_t queries[D / 16][4], of_mixed[D / 16][4];
  keep_rows(problem.queries, queries);
  keep_rows(pass.gradients.of_mixed, of_mixed);
  float log_sums[2] = {}, means[2] = {};
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int position = first_row + lane / 4 + 8 * half;
    if (position >= document.tokens) continue;
    const int64_t at = (int64_t{document.row} * tiles.n_heads + work.head) * problem.tokens + document.first + position;
    log_sums[half] = static_cast<const float*>(problem.log_sums)[at] * static_cast<float>(kLog2E);
    means[half] = static_cast<const float*>(pass.gradients.means)[at];
  }

  const auto copy_tiles = [&](int stage, int of) {
    Bf16* const keys = places + 2 * stage * kTileNumbers<D>;
    const int from = of * kTileTokens, valid = document.tokens - from;
    copy_rows<D, kTileTokens, kQueryThreads>(keys, place<const Bf16>(problem.keys, document, work.kv_head, from),
                                             problem.keys.token, valid, E);
    copy_rows<D, kTileTokens, kQueryThreads>(keys + kTileNumbers<D>,
                                             place<const Bf16>(problem.values, document, work.kv_head, from),
                                             problem.values.token, valid, E);
    copies_commit();
  };
  int key_tile = key_tiles[0];
  copy_tiles(0, key_tile);
  float gradients[D / 8][4] = {};
  for (int i = 0; i < key_tiles.n; ++i) {
    const int next_tile = i + 1 < key_tiles.n ? key_tiles[i + 1] : 0;
    if (i + 1 < key_tiles.n) {
      copy_tiles((i + 1) % 2, next_tile);
      copies_wait<1>();
    } else {
      copies_wait<0>();
    }
    __syncthreads();  // this tile is there
    if (has_rows && key_tiles.is_seen(i, key_tile, tile, first_near)) {
      const Bf16* const keys = places + 2 * (i % 2) * kTileNumbers<D>;
      const Bf16* const values = keys + kTileNumbers<D>;
      float scores[kColumnTiles][4] = {}, of_weights[kColumnTiles][4] = {};
#pragma unroll
      for (int k = 0; k < D / 16; ++k) {
#pragma unroll
        for (int n = 0; n < kColumnTiles / 2; ++n) {
          uint32_t b[4];
          load_b_of_rows<D>(b, keys, 16 * n, 16 * k);
          multiply_add(scores[2 * n], queries[k], b[0], b[1]);
          multiply_add(scores[2 * n + 1], queries[k], b[2], b[3]);
          load_b_of_rows<D>(b, values, 16 * n, 16 * k);
          multiply_add(of_weights[2 * n], of_mixed[k], b[0], b[1]);
          multiply_add(of_weights[2 * n + 1], of_mixed[k], b[2], b[3]);
        }
      }
      const bool has_hidden = !kExact || key_tile == tile;
#pragma unroll
      for (int n = 0; n < kColumnTiles; ++n) {
#pragma unroll
        for (int c = 0; c < 4; ++c) {
          float weight = exp2_fast(scores[n][c] * scale_log2 - log_sums[c / 2]);
          if (has_hidden && is_hidden<kExact>(visible, first_row, key_tile * kTileTokens, n, c)) weight = 0;
          scores[n][c] = weight * (of_weights[n][c] - means[c / 2]);
        }
      }
#pragma unroll
      for (int k = 0; k < kTileTokens / 16; ++k) {
        uint32_t a[4];
        as_a(a, scores, k);
#pragma unroll
        for (int n = 0; n < D / 16; ++n) {
          uint32_t b[4];
          load_b<D>(b, keys, 16 * k, 16 * n);
          multiply_add(gradients[2 * n], a, b[0], b[1]);
          multiply_add(gradients[2 * n + 1], a, b[2], b[3]);
        }
      }
    }
    __syncthreads();  // its place may be written
    key_tile = next_tile;
  }
  if (!has_rows) return;
  write_rows<D>(gradients, static_cast<float>(problem.scale), places + warp * kWarpRows * kRowStride<D>,
                place<Bf16>(pass.gradients.of_queries, document, work.head, first_row), pass.gradients.of_queries.token,
                document.tokens - first_row, E);
}

// Four warps compute a tile of keys and values, 16 rows each, against the queries that see it of every head that shares
// it; queries and gradients come by turns into two places each. Scores are made with keys as rows, so that weights are
// what the products with them want in registers.
template <int D>
constexpr int kKeyBytes =
    6 * kTileNumbers<D> * static_cast<int>(sizeof(Bf16)) + 4 * kTileTokens * static_cast<int>(sizeof(float));

template <int D, bool kExact>
__global__ void __launch_bounds__(kKeyThreads, 2) of_keys(const __grid_constant__ BlockSparsePass pass) {
  extern __shared__ __align__(16) unsigned char shared_bytes[];
  auto* const keys = reinterpret_cast<Bf16*>(shared_bytes);  // [64, D]
  Bf16* const values = keys + kTileNumbers<D>;
  Bf16* const places = values + kTileNumbers<D>;  // queries, gradients, queries, gradients: [64, D] each
  auto* const row_places = reinterpret_cast<float*>(places + 4 * kTileNumbers<D>);  // log-sums, means, twice: [64] each

  const BlockSparseProblem& problem = pass.problem;
  const BlockSparseTiles& tiles = problem.tiles;
  const int kv_head = static_cast<int>(blockIdx.x) / tiles.n_key_items;
  const int* const item = tiles.key_items + 2 * int64_t{blockIdx.x};
  const DocumentPlace document(tiles, item[0]);
  const int key_tile = item[1];
  const int E = problem.head_dim, warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
  const int first_row = key_tile * kTileTokens + warp * kWarpRows;
  const float scale_log2 = static_cast<float>(problem.scale * kLog2E);

  const int first_key = key_tile * kTileTokens, n_keys = document.tokens - first_key;
  copy_rows<D, kTileTokens, kKeyThreads>(keys, place<const Bf16>(problem.keys, document, kv_head, first_key),
                                         problem.keys.token, n_keys, E);
  copy_rows<D, kTileTokens, kKeyThreads>(values, place<const Bf16>(problem.values, document, kv_head, first_key),
                                         problem.values.token, n_keys, E);

  const auto copy_tiles = [&](int stage, const SeeingTiles& of) {
    Bf16* const queries = places + 2 * stage * kTileNumbers<D>;
    const int from = of.tile * kTileTokens, valid = document.tokens - from;
    copy_rows<D, kTileTokens, kKeyThreads>(queries, place<const Bf16>(problem.queries, document, of.head, from),
                                           problem.queries.token, valid, E);
    copy_rows<D, kTileTokens, kKeyThreads>(queries + kTileNumbers<D>,
                                           place<const Bf16>(pass.gradients.of_mixed, document, of.head, from),
                                           pass.gradients.of_mixed.token, valid, E);
    const int row = static_cast<int>(threadIdx.x) % kTileTokens;
    const bool is_mean = static_cast<int>(threadIdx.x) >= kTileTokens;
    const auto* const rows = static_cast<const float*>(is_mean ? pass.gradients.means : problem.log_sums) +
                             (int64_t{document.row} * tiles.n_heads + of.head) * problem.tokens + document.first + from;
    const bool is_there = row < valid;
    copy_begin<4>(row_places + (2 * stage + is_mean) * kTileTokens + row, is_there ? rows + row : rows, is_there);
    copies_commit();
  };
  SeeingTiles at(tiles, kv_head, key_tile, document.n_tiles()), next = at;
  copy_tiles(0, next);
  next.next();
  float of_key_rows[D / 8][4] = {}, of_value_rows[D / 8][4] = {};
  for (int stage = 0; !at.is_over(); stage ^= 1) {
    if (!next.is_over()) {
      copy_tiles(stage ^ 1, next);
      copies_wait<1>();
    } else {
      copies_wait<0>();
    }
    __syncthreads();  // this tile is there
    const Bf16* const queries = places + 2 * stage * kTileNumbers<D>;
    const Bf16* const of_mixed = queries + kTileNumbers<D>;
    const float* const log_sums = row_places + 2 * stage * kTileTokens;
    const float* const means = log_sums + kTileTokens;
    float weights[kColumnTiles][4] = {};
#pragma unroll
    for (int k = 0; k < D / 16; ++k) {
      uint32_t a[4], b[4];
      load_a<D>(a, keys, warp * kWarpRows, 16 * k);
#pragma unroll
      for (int n = 0; n < kColumnTiles / 2; ++n) {
        load_b_of_rows<D>(b, queries, 16 * n, 16 * k);
        multiply_add(weights[2 * n], a, b[0], b[1]);
        multiply_add(weights[2 * n + 1], a, b[2], b[3]);
      }
    }
    const bool has_hidden = !kExact || at.tile == key_tile;
    const VisiblePairs visible(tiles, at.head);
#pragma unroll
    for (int n = 0; n < kColumnTiles; ++n) {
#pragma unroll
      for (int c = 0; c < 4; ++c) {
        const int column = 8 * n + lane % 4 * 2 + c % 2;
        float weight = exp2_fast(weights[n][c] * scale_log2 - log_sums[column] * static_cast<float>(kLog2E));
        if (has_hidden && is_hidden_transposed<kExact>(visible, at.tile * kTileTokens, first_row, n, c)) weight = 0;
        weights[n][c] = weight;
      }
    }
#pragma unroll
    for (int k = 0; k < kTileTokens / 16; ++k) {
      uint32_t a[4], b[4];
      as_a(a, weights, k);
#pragma unroll
      for (int n = 0; n < D / 16; ++n) {
        load_b<D>(b, of_mixed, 16 * k, 16 * n);
        multiply_add(of_value_rows[2 * n], a, b[0], b[1]);
        multiply_add(of_value_rows[2 * n + 1], a, b[2], b[3]);
      }
    }
    float of_weights[kColumnTiles][4] = {};
#pragma unroll
    for (int k = 0; k < D / 16; ++k) {
      uint32_t a[4], b[4];
      load_a<D>(a, values, warp * kWarpRows, 16 * k);
#pragma unroll
      for (int n = 0; n < kColumnTiles / 2; ++n) {
        load_b_of_rows<D>(b, of_mixed, 16 * n, 16 * k);
        multiply_add(of_weights[2 * n], a, b[0], b[1]);
        multiply_add(of_weights[2 * n + 1], a, b[2], b[3]);
      }
    }
#pragma unroll
    for (int n = 0; n < kColumnTiles; ++n) {
#pragma unroll
      for (int c = 0; c < 4; ++c) weights[n][c] *= of_weights[n][c] - means[8 * n + lane % 4 * 2 + c % 2];
    }
#pragma unroll
    for (int k = 0; k < kTileTokens / 16; ++k) {
      uint32_t a[4], b[4];
      as_a(a, weights, k);
#pragma unroll
      for (int n = 0; n < D / 16; ++n) {
        load_b<D>(b, queries, 16 * k, 16 * n);
        multiply_add(of_key_rows[2 * n], a, b[0], b[1]);
        multiply_add(of_key_rows[2 * n + 1], a, b[2], b[3]);
      }
    }
    __syncthreads();  // its place may be written
    at = next;
    if (!next.is_over()) next.next();
  }
  const auto write = [&](const float(&rows)[D / 8][4], float factor, const AttentionTensor& to) {
    // A warp's keys, which no other warp reads.
    write_rows<D>(rows, factor, keys + warp * kWarpRows * kRowStride<D>, place<Bf16>(to, document, kv_head, first_row),
                  to.token, document.tokens - first_row, E);
  };
  write(of_key_rows, static_cast<float>(problem.scale), pass.gradients.of_keys);
  write(of_value_rows, 1, pass.gradients.of_values);
}

template <int D>
const char* gradients_at(const BlockSparsePass& pass, Stream stream) {
  const BlockSparseTiles& tiles = pass.problem.tiles;
  const dim3 query_blocks(static_cast<unsigned>(tiles.n_query_items * tiles.n_heads));
  const dim3 key_blocks(static_cast<unsigned>(tiles.n_key_items * tiles.n_kv_heads));
  constexpr int kQueryBytes = 4 * kTileNumbers<D> * static_cast<int>(sizeof(Bf16));
  if (const char* error = start(tiles.exact ? of_queries<D, true> : of_queries<D, false>, query_blocks, kQueryThreads,
                                kQueryBytes, stream, pass)) {
    return error;
  }
  return start(tiles.exact ? of_keys<D, true> : of_keys<D, false>, key_blocks, kKeyThreads, kKeyBytes<D>, stream, pass);
}

}  // namespace

const char* block_sparse_means_bf16(const BlockSparsePass& pass, Stream stream) {
  const int64_t rows = pass.problem.rows * pass.problem.tiles.n_heads * pass.problem.tokens;
  const dim3 blocks(static_cast<unsigned>((rows + kMeanWarps - 1) / kMeanWarps));
  return start(mean_gradients, blocks, 32 * kMeanWarps, 0, stream, pass, rows);
}

const char* block_sparse_gradients_bf16(const BlockSparsePass& pass, Stream stream) {
  const int E = pass.problem.head_dim;
  if (E <= 32) return gradients_at<32>(pass, stream);
  if (E <= 64) return gradients_at<64>(pass, stream);
  if (E <= 96) return gradients_at<96>(pass, stream);
  return gradients_at<kMaxHeadDim>(pass, stream);
}

}  // namespace phial::kernels::cuda
