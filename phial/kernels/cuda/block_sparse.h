// Attention over lists of key blocks and its gradients, for packed documents (phial/train/block_sparse_attention.h says
// what it computes).
//
// The unit is a tile: 64 positions of a document, whatever the pattern's blocks are. Lists name the tiles in which a
// head sees anything; where a block is no multiple of a tile, each pair of query and key is asked for besides. A query
// tile sees the far tiles of its head before first_near[tile], then every tile up to itself; a key tile is seen by the
// query tiles from itself to near_end[tile], then, if it counts for the head, by all behind. Scores are made anew
// backwards from each row's log-sum-exp. Keys and values gather their gradients in a pass of their own, over all query
// heads that share them, so nothing is added to by two blocks of threads.
//
// bf16 products go to the tensor cores and are added up in f32; those of f32 and f64 are made in these types.
// Sources: FlashAttention-2 (arXiv 2307.08691); Phi-3 report (arXiv 2404.14219) section 2. Threads, errors: device.h.
#pragma once

#include <cstdint>

#include "phial/kernels/cuda/device.h"

namespace phial::kernels::cuda {

inline constexpr int kTileTokens = 64;
inline constexpr int kQueryTiles = 2;  // that one block of threads computes
inline constexpr int kMaxHeadDim = 128;

// Who sees whom. Arrays are in device memory; lists reach to the longest document's n_tiles.
struct BlockSparseTiles {
  int n_heads, n_kv_heads, n_tiles;
  // The pattern, for pairs: query i sees key j <= i if i / block - j / block < local_blocks, or
  // (j / block + head * head_step + 1) % stride = 0. `exact`: the tiles say all but j <= i.
  int block, local_blocks, stride, head_step;
  bool exact;

  const int* far;         // [n_heads, max_far]: tiles that count for a head, ascending
  const int* far_before;  // [n_heads, n_tiles + 1]: how many of them are before a tile
  int max_far;
  const int* first_near;  // [n_tiles]
  const int* near_end;    // [n_tiles]

  // Of the documents: row of the batch, first position in it, tokens.
  const int* documents;  // [documents, 3]
  // Work, longest first: a document and the first of kQueryTiles query tiles, or a document and a key tile.
  const int* query_items;  // [n_query_items, 2]
  const int* key_items;    // [n_kv_heads, n_key_items, 2]
  int n_query_items, n_key_items;
};

// Elements from one to the next along the first three of [B, heads, T, E]; the last is contiguous.
struct AttentionTensor {
  void* data;
  int64_t batch, head, token;
};

// head_dim is 1 to kMaxHeadDim; with kBf16 a multiple of 8, and rows at 16 bytes. scale > 0. log_sums, means: [B, H,
// T], f32, with kF64 f64. Of rows that are in no document nothing is written.
struct BlockSparseProblem {
  BlockSparseTiles tiles;
  Number type;
  int head_dim;
  int64_t rows, tokens;  // B, T
  double scale;
  AttentionTensor queries, keys, values;
  AttentionTensor mixed;  // the output
  void* log_sums;
};

struct BlockSparseGradients {
  AttentionTensor of_mixed;  // given
  void* means;               // space
  AttentionTensor of_queries, of_keys, of_values;
};

// mixed, log_sums.
[[nodiscard]] const char* block_sparse_forward(const BlockSparseProblem& problem, Stream stream);

// of_queries, of_keys, of_values; mixed and log_sums are those of forward.
[[nodiscard]] const char* block_sparse_backward(const BlockSparseProblem& problem,
                                                const BlockSparseGradients& gradients, Stream stream);

}  // namespace phial::kernels::cuda
