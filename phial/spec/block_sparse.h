// Which blocks of keys a query sees in the block-sparse layers of Phi-3-small, as lists of indices.
//
// Positions are cut into blocks of `block`. Query head h at position i sees the key at j <= i if their blocks are fewer
// than `local_blocks` apart, or if block j counts for h: (j + h step + 1) mod stride = 0, step being stride / heads but
// at least 1, and 0 where all heads look alike. Whether a block counts for a head does not depend on the query, so one
// list a key-value head serves every query: the blocks that count for any of its query heads, ascending. The far
// blocks of a query in block q are those of its entries before first_local(q); from there on every head sees all.
// Read backwards it says who sees a key: the heads of its entry from `local_blocks` on, before that every head. Heads
// that share an entry share all their entries: they are alike, or a multiple of the stride apart. Source:
// Phi-3 technical report (arXiv 2404.14219) section 2; docs/sources.md. Threads: any.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace phial::spec {

struct BlockSparse {
  int block = 0;         // positions of a block; 0: every layer is dense
  int local_blocks = 0;  // that of the query included
  int stride = 0;
  int dense_every = 0;  // layer i is dense if (i + 1) mod dense_every = 0; 0: none is
  bool same_for_heads = false;

  int head_step(int n_heads) const { return same_for_heads ? 0 : n_heads < stride ? stride / n_heads : 1; }
  bool active() const { return block > 0; }
  bool is_sparse(int layer) const { return active() && (dense_every == 0 || (layer + 1) % dense_every != 0); }
  // Positions up to which a query sees all before it.
  int64_t dense_tokens() const { return int64_t{block} * local_blocks; }
  bool operator==(const BlockSparse&) const = default;
};

// Query heads that may share a key-value head: the bits of a mask.
inline constexpr int kMaxSparseGroup = 64;

// Of all sparse layers: they are alike.
class BlockSparseLists {
 public:
  struct Entry {
    int block = 0;       // of keys
    uint64_t heads = 0;  // bit r: it counts for the r-th query head that shares the key-value head
  };

  // Promise: the pattern is active and valid, n_heads is a multiple of n_kv_heads of at most kMaxSparseGroup times.
  // `n_positions`: that the lists reach to.
  BlockSparseLists(const BlockSparse& pattern, int n_heads, int n_kv_heads, int64_t n_positions);

  const BlockSparse& pattern() const { return pattern_; }
  // The first block that a query in block `query_block` sees in full, being near.
  int first_local(int query_block) const;
  // The blocks before first_local(query_block) that any query head of `kv_head` sees.
  std::span<const Entry> far(int kv_head, int query_block) const;
  // How many blocks before `block` count for the r-th query head of `kv_head`.
  int n_before(int kv_head, int r, int block) const;
  // Whether a query at `position` or behind it sees any of [first, last], for any query head of `kv_head`.
  bool is_needed(int kv_head, int64_t first, int64_t last, int64_t position) const;

 private:
  bool counts(int head, int block) const;

  BlockSparse pattern_;
  int step_ = 0, heads_per_kv_ = 1;
  std::vector<std::vector<Entry>> entries_;  // by key-value head
};

}  // namespace phial::spec
