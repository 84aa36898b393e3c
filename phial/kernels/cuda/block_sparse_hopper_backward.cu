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
  const QueryWarp mine(tiles, kWarpRows);
  const DocumentPlace& document = mine.document;
  const int E = problem.head_dim;
  const float scale_log2 = static_cast<float>(problem.scale * kLog2E);
  const Bf16* const own_queries = queries + mine.warp / 4 * kWideTileNumbers<D>;
  const Bf16* const own_of_mixed = of_mixed + mine.warp / 4 * kWideTileNumbers<D>;

  const auto copy = [&](Bf16* to, const AttentionTensor& from, int head, int of) {
    copy_tile<D, kWideQueryThreads>(to, place<const Bf16>(from, document, head, of * kTileTokens), from.token,
                                    document.tokens - of * kTileTokens, E);
  };
  const auto copy_keys = [&](int stage, int of) {
    Bf16* const keys = places + 2 * stage * kWideTileNumbers<D>;
    copy(keys, problem.keys, mine.work.kv_head, of);
    copy(keys + kWideTileNumbers<D>, problem.values, mine.work.kv_head, of);
    copies_commit();
  };
  for (int i = 0; i < kQueryTiles; ++i) {
    const int of = min(mine.work.first_tile + i, mine.last_tile);
    copy(queries + i * kWideTileNumbers<D>, problem.queries, mine.work.head, of);
    copy(of_mixed + i * kWideTileNumbers<D>, pass.gradients.of_mixed, mine.work.head, of);
  }
  const RowNumbers rows(pass, document, mine.work.head, mine.first_row);
  int key_tile = mine.key_tiles[0];
  copy_keys(0, key_tile);
  float gradients[D / 8][4] = {};
  for (int i = 0; i < mine.key_tiles.n; ++i) {
    const int next_tile = i + 1 < mine.key_tiles.n ? mine.key_tiles[i + 1] : 0;
    if (i + 1 < mine.key_tiles.n) {
      copy_keys((i + 1) % 2, next_tile);
      copies_wait<1>();
    } else {
      copies_wait<0>();
    }
    show_to_tensor_cores();
    __syncthreads();  // this tile is there
    if (mine.sees(i, key_tile)) {
      const Bf16* const keys = places + 2 * (i % 2) * kWideTileNumbers<D>;
      float scores[kColumnTiles][4], of_weights[kColumnTiles][4];
      multiply_tiles<D>(scores, own_queries, keys);
      multiply_tiles<D>(of_weights, own_of_mixed, keys + kWideTileNumbers<D>);
      products_wait<0>();
      hold(scores);
      hold(of_weights);
      differentiate<kExact>(scores, of_weights, rows, scale_log2, !kExact || key_tile == mine.tile, mine.visible,
                            mine.first_row, key_tile * kTileTokens);
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
  if (!mine.has_rows) return;
  write_rows<D>(gradients, static_cast<float>(problem.scale), places + mine.warp * kWarpRows * kRowStride<D>,
                place<Bf16>(pass.gradients.of_queries, document, mine.work.head, mine.first_row),
                pass.gradients.of_queries.token, document.tokens - mine.first_row, E);
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
  const int E = problem.head_dim, warp = static_cast<int>(threadIdx.x) / 32;
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
    copy_row_numbers(row_places + 2 * stage * kTileTokens, pass, document, of.head, of.tile);
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
    weigh_columns<kExact>(weights, log_sums, scale_log2, !kExact || at.tile == key_tile, VisiblePairs(tiles, at.head),
                          at.tile * kTileTokens, first_row);
    uint32_t packed_weights[kTileTokens / 16][4], of_scores[kTileTokens / 16][4];
#pragma unroll
    for (int k = 0; k < kTileTokens / 16; ++k) as_a(packed_weights[k], weights, k);
    products_wait<0>();
    hold(of_weights);
    add_weighted_rows<D>(of_value_rows, packed_weights, of_mixed);
    differentiate_columns(weights, of_weights, means);
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
  if (const char* error = start(tiles.exact ? of_queries_wide<D, true> : of_queries_wide<D, false>, query_blocks(tiles),
                                kWideQueryThreads, kWideQueryBytes<D>, stream, pass)) {
    return error;
  }
  return start(tiles.exact ? of_keys_wide<D, true> : of_keys_wide<D, false>, key_blocks(tiles), kWideKeyThreads,
               kWideKeyBytes<D>, stream, pass);
}

}  // namespace

const char* block_sparse_gradients_hopper(const BlockSparsePass& pass, Stream stream) {
  return pass.problem.head_dim <= 64 ? gradients_wide_at<64>(pass, stream)
                                     : gradients_wide_at<kMaxHeadDim>(pass, stream);
}

}  // namespace phial::kernels::cuda
