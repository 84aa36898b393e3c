// Two warpgroups compute a query tile of a head each, against the same keys and values, which come by turns into two
// places each; a warpgroup whose tile does not see what the other sees waits.
#include "phial/kernels/cuda/block_sparse_device.cuh"
#include "phial/kernels/cuda/block_sparse_rows.cuh"
#include "phial/kernels/cuda/launch.cuh"
#include "phial/kernels/cuda/warpgroup.cuh"

namespace phial::kernels::cuda {
namespace {

constexpr int kWideThreads = 256;

template <int D>
constexpr int kWideTile = kTileTokens * D;  // numbers
template <int D>
constexpr int kWideBytes = (kQueryTiles + 4) * kWideTile<D> * static_cast<int>(sizeof(Bf16)) + kTileAlignment;

template <int D, bool kExact>
__global__ void __launch_bounds__(kWideThreads, 2) attend_wide(const __grid_constant__ BlockSparsePass pass) {
#ifdef PHIAL_HAS_WARPGROUPS
  extern __shared__ __align__(16) unsigned char shared_bytes[];
  Bf16* const queries = aligned_tiles(shared_bytes);          // one tile a warpgroup
  Bf16* const places = queries + kQueryTiles * kWideTile<D>;  // keys, values, keys, values

  const BlockSparseProblem& problem = pass.problem;
  const BlockSparseTiles& tiles = problem.tiles;
  const QueryWarp mine(tiles, kWarpRows);
  const DocumentPlace& document = mine.document;
  const int E = problem.head_dim;
  const float scale_log2 = static_cast<float>(problem.scale * kLog2E);
  const Bf16* const own_queries = queries + mine.warp / 4 * kWideTile<D>;

  const auto copy = [&](Bf16* to, const AttentionTensor& from, int head, int of) {
    copy_tile<D, kWideThreads>(to, place<const Bf16>(from, document, head, of * kTileTokens), from.token,
                               document.tokens - of * kTileTokens, E);
  };
  const auto copy_keys = [&](int stage, int of) {
    Bf16* const keys = places + 2 * stage * kWideTile<D>;
    copy(keys, problem.keys, mine.work.kv_head, of);
    copy(keys + kWideTile<D>, problem.values, mine.work.kv_head, of);
    copies_commit();
  };
  for (int i = 0; i < kQueryTiles; ++i) {
    copy(queries + i * kWideTile<D>, problem.queries, mine.work.head, min(mine.work.first_tile + i, mine.last_tile));
  }
  int key_tile = mine.key_tiles[0];
  copy_keys(0, key_tile);

  float mixed[D / 8][4] = {};
  RowSums rows;
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
      const Bf16* const keys = places + 2 * (i % 2) * kWideTile<D>;
      float scores[kColumnTiles][4];
      multiply_tiles<D>(scores, own_queries, keys);
      products_wait<0>();
      hold(scores);
      if (!kExact || key_tile == mine.tile) {
        hide<kExact>(scores, mine.visible, mine.first_row, key_tile * kTileTokens);
      }
      soften<D>(scores, scale_log2, rows, mixed);
      uint32_t weights[kTileTokens / 16][4];
#pragma unroll
      for (int k = 0; k < kTileTokens / 16; ++k) as_a(weights[k], scores, k);
      add_weighted_rows<D>(mixed, weights, keys + kWideTile<D>);
      products_wait<0>();
      hold(mixed);
    }
    __syncthreads();  // its place may be written
    key_tile = next_tile;
  }
  if (!mine.has_rows) return;
  write_mixed<D>(mixed, rows, problem, document, mine.work.head, mine.first_row,
                 places + mine.warp * kWarpRows * kRowStride<D>);
#endif
}

template <int D>
const char* attend_wide_at(const BlockSparsePass& pass, Stream stream) {
  const BlockSparseTiles& tiles = pass.problem.tiles;
  return start(tiles.exact ? attend_wide<D, true> : attend_wide<D, false>, query_blocks(tiles), kWideThreads,
               kWideBytes<D>, stream, pass);
}

}  // namespace

const char* block_sparse_forward_hopper(const BlockSparsePass& pass, Stream stream) {
  return pass.problem.head_dim <= 64 ? attend_wide_at<64>(pass, stream) : attend_wide_at<kMaxHeadDim>(pass, stream);
}

}  // namespace phial::kernels::cuda
