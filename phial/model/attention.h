// Causal attention of some queries over a layer's cache, for one key-value head.
//
// A query at position p sees positions (p - window, p], or [0, p] without a window, and in a block-sparse layer the
// near blocks before it and those far ones that count for its head; what no head sees is not read. Scores of all seen
// keys are held, then normalised, then mixed: the order of additions depends on positions only, so a query's result has
// the same bits however many are computed together. Threads: one call a thread; its scratch is its own.
#pragma once

#include <cstddef>
#include <span>

#include "phial/kernels/kernels.h"
#include "phial/model/kv_access.h"
#include "phial/spec/block_sparse.h"

namespace phial::model {

struct AttentionShape {
  int heads_per_kv = 1;  // query heads that share the key-value head, or as many of them as are computed
  int head_dim = 0;
  int window = 0;                                  // 0: none
  float scale = 1;                                 // of scores
  const spec::BlockSparseLists* sparse = nullptr;  // null: the layer is dense
};

// The most keys that a head of a block-sparse layer sees of `keys` positions.
int sparse_keys(const spec::BlockSparse& pattern, int keys);
// Queries that are computed together: of at most so many tokens, and of so many of the heads that share a key-value
// head.
struct QueryTile {
  int tokens = 1, heads = 1;
};
// Of `tokens` over `keys` positions, so that scores stay in a core's cache. All heads are computed together, for which
// keys and values are read once, where the tokens are few (decoding, drafts) or the keys are. Of a prompt behind many
// keys each head is computed apart: as many scores are those of more tokens then, and all of them meet a far block of a
// block-sparse layer, which one head sees.
QueryTile query_tile(int tokens, int keys, int heads_per_kv);
// Floats of scratch that attend() needs for `queries` tokens over `keys` positions.
size_t attention_scratch(int queries, int keys, int heads_per_kv);

struct Queries {
  const float* q = nullptr;  // [tokens, heads_per_kv, head_dim], tokens q_stride floats apart
  size_t q_stride = 0;
  float* out = nullptr;  // the same, out_stride apart
  size_t out_stride = 0;
  int first_head = 0;  // which of the key-value head's query heads they begin with
  int first_position = 0;
  int tokens = 0;  // in one block of a block-sparse layer
};

// Promise: the keys and values that the queries see are in the cache.
void attend(const kernels::KernelSet& kernels, const AttentionShape& shape, const KvAccess& cache, int layer,
            int kv_head, const Queries& queries, std::span<float> scratch);

}  // namespace phial::model
