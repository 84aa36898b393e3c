// The kernels of block_sparse_bf16_backward.cu with the products of warpgroups: two of them compute a query tile of a
// head each, one computes a tile of keys and values.
#include "phial/kernels/cuda/block_sparse_device.cuh"
#include "phial/kernels/cuda/block_sparse_rows.cuh"
#include "phial/kernels/cuda/launch.cuh"
#include "phial/kernels/cuda/warpgroup.cuh"

namespace phial::kernels::cuda {
namespace {

constexpr int kWideQueryThreads = 256, kWideKeyThreads = 128;

template <int D>
constexpr int kWideTileNumbers = kTileTokens * D;
template <int D>
constexpr int kWideQueryBytes =
    (2 * kQueryTiles + 4) * kWideTileNumbers<D> * static_cast<int>(sizeof(Bf16)) + kTileAlignment;
template <int D>
constexpr int kWideKeyBytes = 6 * kWideTileNumbers<D> * static_cast<int>(sizeof(Bf16)) +
                              4 * kTileTokens * static_cast<int>(sizeof(float)) + kTileAlignment;

template <int D, bool kExact>
__global__ void __launch_bounds__(kWideQueryThreads, 1) of_queries_wide(const __grid_constant__ BlockSparsePass pass) {
#ifdef PHIAL_HAS_WARPGROUPS
  extern __shared__ __align__(16) unsigned char shared_bytes[];
  Bf16* const queries = aligned_tiles(shared_bytes);                   // one tile a warpgroup
  Bf16* const of_mixed = queries + kQueryTiles * kWideTileNumbers<D>;  // one tile a warpgroup
  Bf16* const places = of_mixed + kQueryTiles * kWideTileNumbers<D>;   // keys, values, keys, values

  const BlockSparseProblem& problem = pass.problem;
  const BlockSparseTiles& tiles = problem.tiles;
  const QueryWork work(tiles, static_cast<int>(blockIdx.x));
  const DocumentPlace document(tiles, work.document);
  const int last_tile = min(work.first_tile + kQueryTiles, document.n_tiles()) - 1;
  const KeyTiles key_tiles(tiles, work.head, work.first_tile, last_tile);
  const int E = problem.head_dim, warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
  const int tile = work.first_tile + warp / 4;
  const bool has_rows = tile <= last_tile;
  const int first_near = has_rows ? tiles.first_near[tile] : 0;
  const int first_row = work.first_tile * kTileTokens + warp * kWarpRows;
  const float scale_log2 = static_cast<float>(problem.scale * kLog2E);
  const VisiblePairs visible(tiles, work.head);
  const Bf16* const own_queries = queries + warp / 4 * kWideTileNumbers<D>;
  const Bf16* const own_of_mixed = of_mixed + warp / 4 * kWideTileNumbers<D>;

  const auto copy = [&](Bf16* to, const AttentionTensor& from, int head, int of) {
    copy_tile<D, kWideQueryThreads>(to, place<const Bf16>(from, document, head, of * kTileTokens), from.token,
                                    document.tokens - of * kTileTokens, E);
  };
  const auto copy_keys = [&](int stage, int of) {
    Bf16* const keys = places + 2 * stage * kWideTileNumbers<D>;
    copy(keys, problem.keys, work.kv_head, of);
    copy(keys + kWideTileNumbers<D>, problem.values, work.kv_head, of);
    copies_commit();
  };
  for (int i = 0; i < kQueryTiles; ++i) {
    const int of = min(work.first_tile + i, last_tile);
    copy(queries + i * kWideTileNumbers<D>, problem.queries, work.head, of);
    copy(of_mixed + i * kWideTileNumbers<D>, pass.gradients.of_mixed, work.head, of);
  }
  float log_sums[2] = {}, means[2] = {};
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int position = first_row + lane / 4 + 8 * half;
    if (position >= document.tokens) continue;
    const int64_t at = (int64_t{document.row} * tiles.n_heads + work.head) * problem.tokens + document.first + position;
    log_sums[half] = static_cast<const float*>(problem.log_sums)[at] * static_cast<float>(kLog2E);
    means[half] = static_cast<const float*>(pass.gradients.means)[at];
  }
  int key_tile = key_tiles[0];
  copy_keys(0, key_tile);
  float gradients[D / 8][4] = {};
  for (int i = 0; i < key_tiles.n; ++i) {
    const int next_tile = i + 1 < key_tiles.n ? key_tiles[i + 1] : 0;
    if (i + 1 < key_tiles.n) {
      copy_keys((i + 1) % 2, next_tile);
      copies_wait<1>();
    } else {
      copies_wait<0>();
    }
    show_to_tensor_cores();
    __syncthreads();  // this tile is there
    if (has_rows && key_tiles.is_seen(i, key_tile, tile, first_near)) {
      const Bf16* const keys = places + 2 * (i % 2) * kWideTileNumbers<D>;
      float scores[kColumnTiles][4], of_weights[kColumnTiles][4];
      multiply_tiles<D>(scores, own_queries, keys);
      multiply_tiles<D>(of_weights, own_of_mixed, keys + kWideTileNumbers<D>);
      products_wait<0>();
      hold(scores);
      hold(of_weights);
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
      uint32_t of_scores[kTileTokens / 16][4];
#pragma unroll
      for (int k = 0; k < kTileTokens / 16; ++k) as_a(of_scores[k], scores, k);
      add_weighted_rows<D>(gradients, of_scores, keys);
      products_wait<0>();
      hold(gradients);
    }
    __syncthreads();  // its place may be written
    key_tile = next_tile;
  }
  if (!has_rows) return;
  write_rows<D>(gradients, static_cast<float>(problem.scale), places + warp * kWarpRows * kRowStride<D>,
                place<Bf16>(pass.gradients.of_queries, document, work.head, first_row), pass.gradients.of_queries.token,
                document.tokens - first_row, E);
#endif
}

template <int D, bool kExact>
__global__ void __launch_bounds__(kWideKeyThreads, 2) of_keys_wide(const __grid_constant__ BlockSparsePass pass) {
#ifdef PHIAL_HAS_WARPGROUPS
  extern __shared__ __align__(16) unsigned char shared_bytes[];
  Bf16* const keys = aligned_tiles(shared_bytes);
  Bf16* const values = keys + kWideTileNumbers<D>;
  Bf16* const places = values + kWideTileNumbers<D>;  // queries, gradients, queries, gradients
  auto* const row_places = reinterpret_cast<float*>(places + 4 * kWideTileNumbers<D>);  // log-sums, means, twice

  const BlockSparseProblem& problem = pass.problem;
  const BlockSparseTiles& tiles = problem.tiles;
  const int kv_head = static_cast<int>(blockIdx.x) / tiles.n_key_items;
  const int* const item = tiles.key_items + 2 * int64_t{blockIdx.x};
  const DocumentPlace document(tiles, item[0]);
  const int key_tile = item[1];
  const int E = problem.head_dim, warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
  const int first_row = key_tile * kTileTokens + warp * kWarpRows;
  const float scale_log2 = static_cast<float>(problem.scale * kLog2E);

  const auto copy = [&](Bf16* to, const AttentionTensor& from, int head, int of) {
    copy_tile<D, kWideKeyThreads>(to, place<const Bf16>(from, document, head, of * kTileTokens), from.token,
                                  document.tokens - of * kTileTokens, E);
  };
  copy(keys, problem.keys, kv_head, key_tile);
  copy(values, problem.values, kv_head, key_tile);
  const auto copy_queries = [&](int stage, const SeeingTiles& of) {
    Bf16* const queries = places + 2 * stage * kWideTileNumbers<D>;
    copy(queries, problem.queries, of.head, of.tile);
    copy(queries + kWideTileNumbers<D>, pass.gradients.of_mixed, of.head, of.tile);
    const int row = static_cast<int>(threadIdx.x) % kTileTokens, from = of.tile * kTileTokens;
    const bool is_mean = static_cast<int>(threadIdx.x) >= kTileTokens, is_there = row < document.tokens - from;
    const auto* const rows = static_cast<const float*>(is_mean ? pass.gradients.means : problem.log_sums) +
                             (int64_t{document.row} * tiles.n_heads + of.head) * problem.tokens + document.first + from;
    copy_begin<4>(row_places + (2 * stage + is_mean) * kTileTokens + row, is_there ? rows + row : rows, is_there);
    copies_commit();
  };
  SeeingTiles at(tiles, kv_head, key_tile, document.n_tiles()), next = at;
  copy_queries(0, next);
  next.next();
  float of_key_rows[D / 8][4] = {}, of_value_rows[D / 8][4] = {};
  for (int stage = 0; !at.is_over(); stage ^= 1) {
    if (!next.is_over()) {
      copy_queries(stage ^ 1, next);
      copies_wait<1>();
    } else {
      copies_wait<0>();
    }
    show_to_tensor_cores();
    __syncthreads();  // this tile is there
    const Bf16* const queries = places + 2 * stage * kWideTileNumbers<D>;
    const Bf16* const of_mixed = queries + kWideTileNumbers<D>;
    const float* const log_sums = row_places + 2 * stage * kTileTokens;
    const float* const means = log_sums + kTileTokens;
    float weights[kColumnTiles][4], of_weights[kColumnTiles][4];
    multiply_tiles<D>(weights, keys, queries);
    multiply_tiles<D>(of_weights, values, of_mixed);
    products_wait<1>();
    hold(weights);
    const bool has_hidden = !kExact || at.tile == key_tile;
    const VisiblePairs visible(tiles, at.head);
#pragma unroll
    for (int n = 0; n < kColumnTiles; ++n) {
#pragma unroll
      for (int c = 0; c < 4; ++c) {
        const float log_sum = log_sums[8 * n + lane % 4 * 2 + c % 2] * static_cast<float>(kLog2E);
        weights[n][c] = exp2_fast(weights[n][c] * scale_log2 - log_sum);
        if (has_hidden && is_hidden_transposed<kExact>(visible, at.tile * kTileTokens, first_row, n, c))
          weights[n][c] = 0;
      }
    }
    uint32_t packed_weights[kTileTokens / 16][4], of_scores[kTileTokens / 16][4];
#pragma unroll
    for (int k = 0; k < kTileTokens / 16; ++k) as_a(packed_weights[k], weights, k);
    products_wait<0>();
    hold(of_weights);
    add_weighted_rows<D>(of_value_rows, packed_weights, of_mixed);
#pragma unroll
    for (int n = 0; n < kColumnTiles; ++n) {
#pragma unroll
      for (int c = 0; c < 4; ++c) weights[n][c] *= of_weights[n][c] - means[8 * n + lane % 4 * 2 + c % 2];
    }
#pragma unroll
    for (int k = 0; k < kTileTokens / 16; ++k) as_a(of_scores[k], weights, k);
    add_weighted_rows<D>(of_key_rows, of_scores, queries);
    products_wait<0>();
    hold(of_value_rows);
    hold(of_key_rows);
    __syncthreads();  // its place may be written
    at = next;
    if (!next.is_over()) next.next();
  }
  const auto write = [&](const float(&rows)[D / 8][4], float factor, const AttentionTensor& to) {
    write_rows<D>(rows, factor, places + warp * kWarpRows * kRowStride<D>,
                  place<Bf16>(to, document, kv_head, first_row), to.token, document.tokens - first_row, E);
  };
  write(of_key_rows, static_cast<float>(problem.scale), pass.gradients.of_keys);
  write(of_value_rows, 1, pass.gradients.of_values);
#endif
}

template <int D>
const char* gradients_wide_at(const BlockSparsePass& pass, Stream stream) {
  const BlockSparseTiles& tiles = pass.problem.tiles;
  const dim3 query_blocks(static_cast<unsigned>(tiles.n_query_items * tiles.n_heads));
  const dim3 key_blocks(static_cast<unsigned>(tiles.n_key_items * tiles.n_kv_heads));
  if (const char* error = start(tiles.exact ? of_queries_wide<D, true> : of_queries_wide<D, false>, query_blocks,
                                kWideQueryThreads, kWideQueryBytes<D>, stream, pass)) {
    return error;
  }
  return start(tiles.exact ? of_keys_wide<D, true> : of_keys_wide<D, false>, key_blocks, kWideKeyThreads,
               kWideKeyBytes<D>, stream, pass);
}

}  // namespace

const char* block_sparse_gradients_hopper(const BlockSparsePass& pass, Stream stream) {
  return pass.problem.head_dim <= 64 ? gradients_wide_at<64>(pass, stream)
                                     : gradients_wide_at<kMaxHeadDim>(pass, stream);
}

}  // namespace phial::kernels::cuda
