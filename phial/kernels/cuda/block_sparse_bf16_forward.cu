// Four warps compute two query tiles of a head, 32 rows each, which the keys' and values' fragments serve at once; a
// warp whose tile does not see what the other sees waits. Values are on their way while scores are made, the next keys
// while values are mixed. Two blocks of threads share a multiprocessor and fill each other's waits.
#include "phial/kernels/cuda/block_sparse_device.cuh"
#include "phial/kernels/cuda/block_sparse_rows.cuh"
#include "phial/kernels/cuda/launch.cuh"
#include "phial/kernels/cuda/tensor_cores.cuh"

namespace phial::kernels::cuda {
namespace {

constexpr int kForwardThreads = 128, kRowTiles = 2, kRowsOfWarp = kRowTiles * kWarpRows;

template <int D>
constexpr int kForwardBytes = (kQueryTiles + 2) * kTileTokens * kRowStride<D> * static_cast<int>(sizeof(Bf16));

template <int D, bool kExact>
__global__ void __launch_bounds__(kForwardThreads, 2) attend(const __grid_constant__ BlockSparsePass pass) {
  extern __shared__ __align__(16) unsigned char shared_bytes[];
  auto* const queries = reinterpret_cast<Bf16*>(shared_bytes);  // [128, D]
  Bf16* const keys = queries + kQueryTiles * kTileTokens * kRowStride<D>;
  Bf16* const values = keys + kTileTokens * kRowStride<D>;

  const BlockSparseProblem& problem = pass.problem;
  const BlockSparseTiles& tiles = problem.tiles;
  const QueryWarp mine(tiles, kRowsOfWarp);
  const DocumentPlace& document = mine.document;
  const int E = problem.head_dim, first_query = mine.work.first_tile * kTileTokens;
  const float scale_log2 = static_cast<float>(problem.scale * kLog2E);

  const auto copy_tile = [&](Bf16* to, const AttentionTensor& from, int of) {
    copy_rows<D, kTileTokens, kForwardThreads>(to,
                                               place<const Bf16>(from, document, mine.work.kv_head, of * kTileTokens),
                                               from.token, document.tokens - of * kTileTokens, E);
    copies_commit();
  };
  copy_rows<D, kQueryTiles * kTileTokens, kForwardThreads>(
      queries, place<const Bf16>(problem.queries, document, mine.work.head, first_query), problem.queries.token,
      document.tokens - first_query, E);
  int key_tile = mine.key_tiles[0];
  copy_tile(keys, problem.keys, key_tile);

  float mixed[kRowTiles][D / 8][4] = {};
  RowSums rows[kRowTiles];
  for (int i = 0; i < mine.key_tiles.n; ++i) {
    const int next_tile = i + 1 < mine.key_tiles.n ? mine.key_tiles[i + 1] : 0;
    const bool is_seen = mine.sees(i, key_tile);
    float scores[kRowTiles][kColumnTiles][4] = {};
    copies_wait<0>();
    __syncthreads();  // keys are there, and the values before are no longer read
    copy_tile(values, problem.values, key_tile);
    if (is_seen) {
#pragma unroll
      for (int k = 0; k < D / 16; ++k) {
        uint32_t a[kRowTiles][4];
#pragma unroll
        for (int m = 0; m < kRowTiles; ++m) load_a<D>(a[m], queries, mine.warp * kRowsOfWarp + 16 * m, 16 * k);
#pragma unroll
        for (int n = 0; n < kColumnTiles / 2; ++n) {
          uint32_t b[4];
          load_b_of_rows<D>(b, keys, 16 * n, 16 * k);
#pragma unroll
          for (int m = 0; m < kRowTiles; ++m) {
            multiply_add(scores[m][2 * n], a[m], b[0], b[1]);
            multiply_add(scores[m][2 * n + 1], a[m], b[2], b[3]);
          }
        }
      }
    }
    copies_wait<0>();
    __syncthreads();  // values are there, and keys are no longer read
    if (i + 1 < mine.key_tiles.n) copy_tile(keys, problem.keys, next_tile);
    if (is_seen) {
      if (!kExact || key_tile == mine.tile) {
#pragma unroll
        for (int m = 0; m < kRowTiles; ++m) {
          hide<kExact>(scores[m], mine.visible, mine.first_row + kWarpRows * m, key_tile * kTileTokens);
        }
      }
#pragma unroll
      for (int m = 0; m < kRowTiles; ++m) soften<D>(scores[m], scale_log2, rows[m], mixed[m]);
#pragma unroll
      for (int k = 0; k < kTileTokens / 16; ++k) {
        uint32_t a[kRowTiles][4];
#pragma unroll
        for (int m = 0; m < kRowTiles; ++m) as_a(a[m], scores[m], k);
#pragma unroll
        for (int n = 0; n < D / 16; ++n) {
          uint32_t b[4];
          load_b<D>(b, values, 16 * k, 16 * n);
#pragma unroll
          for (int m = 0; m < kRowTiles; ++m) {
            multiply_add(mixed[m][2 * n], a[m], b[0], b[1]);
            multiply_add(mixed[m][2 * n + 1], a[m], b[2], b[3]);
          }
        }
      }
    }
    key_tile = next_tile;
  }
  if (!mine.has_rows) return;

  // Through the warp's own queries, which nobody reads any more.
  Bf16* const space = queries + mine.warp * kRowsOfWarp * kRowStride<D>;
#pragma unroll
  for (int m = 0; m < kRowTiles; ++m) {
    write_mixed<D>(mixed[m], rows[m], problem, document, mine.work.head, mine.first_row + kWarpRows * m, space);
  }
}

template <int D>
const char* attend_at(const BlockSparsePass& pass, Stream stream) {
  const BlockSparseTiles& tiles = pass.problem.tiles;
  return start(tiles.exact ? attend<D, true> : attend<D, false>, query_blocks(tiles), kForwardThreads, kForwardBytes<D>,
               stream, pass);
}

}  // namespace

const char* block_sparse_forward_bf16(const BlockSparsePass& pass, Stream stream) {
  return with_columns(pass.problem.head_dim, [&](auto columns) { return attend_at<columns>(pass, stream); });
}

}  // namespace phial::kernels::cuda
