// What the kernels of block-sparse attention share: where their work lies, which tiles it sees. For device code only.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>
#include <type_traits>

#include "phial/kernels/cuda/block_sparse.h"

namespace phial::kernels::cuda {

inline constexpr double kLog2E = 1.4426950408889634;

// Both passes; forwards the gradients are not read.
struct BlockSparsePass {
  BlockSparseProblem problem;
  BlockSparseGradients gradients;
};

// Of bf16, by instructions of sm_80 and of sm_90a alone, and of any other type: block_sparse_bf16_*.cu,
// block_sparse_hopper_*.cu, block_sparse_plain.cu. That of means is the first part of both bf16 backward passes.
const char* block_sparse_forward_bf16(const BlockSparsePass& pass, Stream stream);
const char* block_sparse_means_bf16(const BlockSparsePass& pass, Stream stream);
const char* block_sparse_gradients_bf16(const BlockSparsePass& pass, Stream stream);
const char* block_sparse_forward_hopper(const BlockSparsePass& pass, Stream stream);
const char* block_sparse_gradients_hopper(const BlockSparsePass& pass, Stream stream);
const char* block_sparse_forward_plain(const BlockSparsePass& pass, Stream stream);
const char* block_sparse_backward_plain(const BlockSparsePass& pass, Stream stream);

// Blocks of threads that share query items of every head among them, or key items of every key-value head; `parts` of
// each item.
inline dim3 query_blocks(const BlockSparseTiles& tiles, unsigned parts = 1) {
  return {static_cast<unsigned>(tiles.n_query_items * tiles.n_heads), parts};
}
inline dim3 key_blocks(const BlockSparseTiles& tiles, unsigned parts = 1) {
  return {static_cast<unsigned>(tiles.n_key_items * tiles.n_kv_heads), parts};
}

// body(columns of the narrowest tile that holds heads of E numbers), a constant.
template <class Body>
const char* with_columns(int E, const Body& body) {
  if (E <= 32) return body(std::integral_constant<int, 32>());
  if (E <= 64) return body(std::integral_constant<int, 64>());
  if (E <= 96) return body(std::integral_constant<int, 96>());
  return body(std::integral_constant<int, kMaxHeadDim>());
}

// A document's place in the batch.
struct DocumentPlace {
  int row, first, tokens;

  __device__ DocumentPlace(const BlockSparseTiles& tiles, int document)
      : row(tiles.documents[3 * document]),
        first(tiles.documents[3 * document + 1]),
        tokens(tiles.documents[3 * document + 2]) {}
  __device__ int n_tiles() const { return (tokens - 1) / kTileTokens + 1; }
};

// The first number of a head of a document, of its token `at`.
template <class T>
__device__ inline T* place(const AttentionTensor& tensor, const DocumentPlace& document, int head, int at) {
  return static_cast<T*>(tensor.data) + document.row * tensor.batch + head * tensor.head +
         (int64_t{document.first} + at) * tensor.token;
}

// Whether a head's query at i sees the key at j; only j <= i where the tiles say all else.
struct VisiblePairs {
  int block, local_blocks, stride, shift;
  bool exact;

  __device__ VisiblePairs(const BlockSparseTiles& tiles, int head)
      : block(tiles.block),
        local_blocks(tiles.local_blocks),
        stride(tiles.stride),
        shift(head * tiles.head_step + 1),
        exact(tiles.exact) {}
  __device__ bool operator()(int i, int j) const {
    if (j > i) return false;
    if (exact) return true;
    const int of_key = j / block;
    return i / block - of_key < local_blocks || (of_key + shift) % stride == 0;
  }
};

// The work of a block of threads that computes query tiles of one head: blocks are numbered by key-value head, item and
// query head, so that those which read the same keys run side by side, the longest first.
struct QueryWork {
  int head, kv_head, document, first_tile;

  __device__ QueryWork(const BlockSparseTiles& tiles, int block) {
    const int group = tiles.n_heads / tiles.n_kv_heads, item = block / group % tiles.n_query_items;
    kv_head = block / (group * tiles.n_query_items);
    head = kv_head * group + block % group;
    document = tiles.query_items[2 * item];
    first_tile = tiles.query_items[2 * item + 1];
  }
};

// The key tiles that any of the query tiles [first, last] of a head sees, ascending.
struct KeyTiles {
  const int *far, *far_before;
  int n_far, near, n;

  __device__ KeyTiles(const BlockSparseTiles& tiles, int head, int first, int last)
      : far(tiles.far + int64_t{head} * tiles.max_far),
        far_before(tiles.far_before + int64_t{head} * (tiles.n_tiles + 1)),
        near(tiles.first_near[first]) {
    n_far = far_before[near];
    n = n_far + last - near + 1;
  }
  __device__ int operator[](int i) const { return i < n_far ? far[i] : near + i - n_far; }
  // Whether the i-th, `tile`, is seen by a query tile whose near ones begin at first_near.
  __device__ bool is_seen(int i, int tile, int query_tile, int first_near) const {
    if (tile > query_tile) return false;
    return i < n_far || tile >= first_near || far_before[tile] != far_before[tile + 1];
  }
};

// A warp's part of QueryWork, where a warp computes `rows` rows of it; all warps go through the same key tiles.
struct QueryWarp {
  QueryWork work;
  DocumentPlace document;
  int last_tile, warp, tile, first_row;  // of the work; of this warp: its number, its tile, its first query's position
  KeyTiles key_tiles;
  bool has_rows;
  int first_near;
  VisiblePairs visible;

  __device__ QueryWarp(const BlockSparseTiles& tiles, int rows)
      : work(tiles, static_cast<int>(blockIdx.x)),
        document(tiles, work.document),
        last_tile(min(work.first_tile + kQueryTiles, document.n_tiles()) - 1),
        warp(static_cast<int>(threadIdx.x) / 32),
        tile(work.first_tile + warp * rows / kTileTokens),
        first_row(work.first_tile * kTileTokens + warp * rows),
        key_tiles(tiles, work.head, work.first_tile, last_tile),
        has_rows(tile <= last_tile),
        first_near(has_rows ? tiles.first_near[tile] : 0),
        visible(tiles, work.head) {}
  // Whether this warp's queries see the i-th key tile, which is `key_tile`.
  __device__ bool sees(int i, int key_tile) const {
    return has_rows && key_tiles.is_seen(i, key_tile, tile, first_near);
  }
};

// The query tiles that see a key tile of a key-value head: head by head those from the tile itself on.
struct SeeingTiles {
  int head, tile = 0;  // the one that it is at

  __device__ SeeingTiles(const BlockSparseTiles& tiles, int kv_head, int of_key_tile, int n_tiles)
      : head(kv_head * (tiles.n_heads / tiles.n_kv_heads)),
        last_head_(head + tiles.n_heads / tiles.n_kv_heads - 1),
        key_tile_(of_key_tile),
        n_tiles_(n_tiles),
        near_end_(min(tiles.near_end[of_key_tile], n_tiles)),
        of_head_(tiles.n_tiles + 1),
        before_(tiles.far_before + int64_t{head} * of_head_ + of_key_tile) {
    begin_head();
  }
  __device__ bool is_over() const { return head > last_head_; }
  __device__ void next() {
    if (++tile < end_) return;
    before_ += of_head_;
    if (++head <= last_head_) begin_head();
  }

 private:
  __device__ void begin_head() {
    tile = key_tile_;
    end_ = before_[0] != before_[1] ? n_tiles_ : near_end_;
  }

  int last_head_, key_tile_, n_tiles_, near_end_, end_ = 0;
  int64_t of_head_;
  const int* before_;  // how many tiles count for the head before this one
};

}  // namespace phial::kernels::cuda
