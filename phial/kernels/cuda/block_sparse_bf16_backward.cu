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

// c += 16 rows of tile a, from `row` on, by the rows of tile b.
template <int D>
__device__ void add_products(float (&c)[kColumnTiles][4], const Bf16* a_tile, int row, const Bf16* b_tile) {
#pragma unroll
  for (int k = 0; k < D / 16; ++k) {
    uint32_t a[4], b[4];
    load_a<D>(a, a_tile, row, 16 * k);
#pragma unroll
    for (int n = 0; n < kColumnTiles / 2; ++n) {
      load_b_of_rows<D>(b, b_tile, 16 * n, 16 * k);
      multiply_add(c[2 * n], a, b[0], b[1]);
      multiply_add(c[2 * n + 1], a, b[2], b[3]);
    }
  }
}

// c += 16 rows of weights, in fragments of 64 columns, by the rows of a tile.
template <int D>
__device__ void add_weighted(float (&c)[D / 8][4], const float (&weights)[kColumnTiles][4], const Bf16* tile) {
#pragma unroll
  for (int k = 0; k < kTileTokens / 16; ++k) {
    uint32_t a[4], b[4];
    as_a(a, weights, k);
#pragma unroll
    for (int n = 0; n < D / 16; ++n) {
      load_b<D>(b, tile, 16 * k, 16 * n);
      multiply_add(c[2 * n], a, b[0], b[1]);
      multiply_add(c[2 * n + 1], a, b[2], b[3]);
    }
  }
}

// Eight warps compute two query tiles of a head, 16 rows each, whose fragments stay in registers; keys and values come
// by turns into two places each.
template <int D, bool kExact>
__global__ void __launch_bounds__(kQueryThreads) of_queries(const __grid_constant__ BlockSparsePass pass) {
  extern __shared__ __align__(16) unsigned char shared_bytes[];
  auto* const places = reinterpret_cast<Bf16*>(shared_bytes);  // keys, values, keys, values: [64, D] each

  const BlockSparseProblem& problem = pass.problem;
  const BlockSparseTiles& tiles = problem.tiles;
  const QueryWarp mine(tiles, kWarpRows);
  const DocumentPlace& document = mine.document;
  const int E = problem.head_dim, first_query = mine.work.first_tile * kTileTokens;
  const float scale_log2 = static_cast<float>(problem.scale * kLog2E);

  const auto keep_rows = [&](const AttentionTensor& from, uint32_t(&kept)[D / 16][4]) {
    copy_rows<D, kQueryTiles * kTileTokens, kQueryThreads>(
        places, place<const Bf16>(from, document, mine.work.head, first_query), from.token,
        document.tokens - first_query, E);
    copies_commit();
    copies_wait<0>();
    __syncthreads();
#pragma unroll
    for (int k = 0; k < D / 16; ++k) load_a<D>(kept[k], places, mine.warp * kWarpRows, 16 * k);
    __syncthreads();
  };
  uint32_t queries[D / 16][4], of_mixed[D / 16][4];
  keep_rows(problem.queries, queries);
  keep_rows(pass.gradients.of_mixed, of_mixed);
  const RowNumbers rows(pass, document, mine.work.head, mine.first_row);

  const auto copy_tiles = [&](int stage, int of) {
    Bf16* const keys = places + 2 * stage * kTileNumbers<D>;
    const int from = of * kTileTokens, valid = document.tokens - from;
    copy_rows<D, kTileTokens, kQueryThreads>(keys, place<const Bf16>(problem.keys, document, mine.work.kv_head, from),
                                             problem.keys.token, valid, E);
    copy_rows<D, kTileTokens, kQueryThreads>(keys + kTileNumbers<D>,
                                             place<const Bf16>(problem.values, document, mine.work.kv_head, from),
                                             problem.values.token, valid, E);
    copies_commit();
  };
  int key_tile = mine.key_tiles[0];
  copy_tiles(0, key_tile);
  float gradients[D / 8][4] = {};
  for (int i = 0; i < mine.key_tiles.n; ++i) {
    const int next_tile = i + 1 < mine.key_tiles.n ? mine.key_tiles[i + 1] : 0;
    if (i + 1 < mine.key_tiles.n) {
      copy_tiles((i + 1) % 2, next_tile);
      copies_wait<1>();
    } else {
      copies_wait<0>();
    }
    __syncthreads();  // this tile is there
    if (mine.sees(i, key_tile)) {
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
      differentiate<kExact>(scores, of_weights, rows, scale_log2, !kExact || key_tile == mine.tile, mine.visible,
                            mine.first_row, key_tile * kTileTokens);
      add_weighted<D>(gradients, scores, keys);
    }
    __syncthreads();  // its place may be written
    key_tile = next_tile;
  }
  if (!mine.has_rows) return;
  write_rows<D>(gradients, static_cast<float>(problem.scale), places + mine.warp * kWarpRows * kRowStride<D>,
                place<Bf16>(pass.gradients.of_queries, document, mine.work.head, mine.first_row),
                pass.gradients.of_queries.token, document.tokens - mine.first_row, E);
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
  const int E = problem.head_dim, warp = static_cast<int>(threadIdx.x) / 32;
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
    copy_row_numbers(row_places + 2 * stage * kTileTokens, pass, document, of.head, of.tile);
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
    float weights[kColumnTiles][4] = {}, of_weights[kColumnTiles][4] = {};
    add_products<D>(weights, keys, warp * kWarpRows, queries);
    weigh_columns<kExact>(weights, log_sums, scale_log2, !kExact || at.tile == key_tile, VisiblePairs(tiles, at.head),
                          at.tile * kTileTokens, first_row);
    add_weighted<D>(of_value_rows, weights, of_mixed);
    add_products<D>(of_weights, values, warp * kWarpRows, of_mixed);
    differentiate_columns(weights, of_weights, means);
    add_weighted<D>(of_key_rows, weights, queries);
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
  constexpr int kQueryBytes = 4 * kTileNumbers<D> * static_cast<int>(sizeof(Bf16));
  if (const char* error = start(tiles.exact ? of_queries<D, true> : of_queries<D, false>, query_blocks(tiles),
                                kQueryThreads, kQueryBytes, stream, pass)) {
    return error;
  }
  return start(tiles.exact ? of_keys<D, true> : of_keys<D, false>, key_blocks(tiles), kKeyThreads, kKeyBytes<D>, stream,
               pass);
}

}  // namespace

const char* block_sparse_means_bf16(const BlockSparsePass& pass, Stream stream) {
  const int64_t rows = pass.problem.rows * pass.problem.tiles.n_heads * pass.problem.tokens;
  const dim3 blocks(static_cast<unsigned>((rows + kMeanWarps - 1) / kMeanWarps));
  return start(mean_gradients, blocks, 32 * kMeanWarps, 0, stream, pass, rows);
}

const char* block_sparse_gradients_bf16(const BlockSparsePass& pass, Stream stream) {
  return with_columns(pass.problem.head_dim, [&](auto columns) { return gradients_at<columns>(pass, stream); });
}

}  // namespace phial::kernels::cuda
