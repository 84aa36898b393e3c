// Stored weights -> tiles of 16 rows, as the kernels read them.
//
// Exact where the tile can hold what is stored: Phial's own types, Q4_0, Q4_1, Q5_0, Q8_0 and IQ4_NL keep every bit, as
// does INT4 whose zero points are all 8. Q4_K has its scales rounded to f16, other INT4 the products of scale and zero
// point; the rest (and INT4 whose groups are scattered over the inputs) is rounded to 8 bits with a scale for 32
// weights. So is whatever a low rank is added to.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "phial/formats/low_rank.h"
#include "phial/tensor/dtype.h"
#include "phial/tensor/int4.h"

namespace phial::model {

// kF32: w[d * 16 + r] of a tile row, exact. kStored: not packed.
enum class Layout { kQ4, kQ4Min, kQ8, kPhialQ4, kPhialQ3, kF32, kStored };

// Where rows of a matrix stand in the file.
struct RowOrder {
  enum class Kind {
    kAsStored,
    kRotaryPairs,  // GGUF's "llama": rows d and d + rope_dims / 2 of a head, which turn together, lie at 2d and 2d + 1
    kGroups,       // Phi-3-small's q, k, v: each key-value head's query heads, key and value lie together
    kAlternating   // Phi-3-small's gate and up: row r of both lie at 2r and 2r + 1
  };
  Kind kind = Kind::kAsStored;
  size_t head_dim = 0, rope_dims = 0;       // of heads
  size_t n_kv_heads = 0, heads_per_kv = 0;  // of kGroups
  size_t rows = 0;                          // of kAlternating: in all

  bool is_stored() const { return kind == Kind::kAsStored; }
  size_t stored_row(size_t row) const;
};

// A view of rows in a checkpoint.
struct StoredRows {
  const std::byte* bytes = nullptr;
  tensor::DType dtype = tensor::DType::kF32;
  size_t rows = 0, cols = 0;
  size_t row_bytes = 0;
  RowOrder order;
  const tensor::Int4Matrix* int4 = nullptr;  // of kInt4 only: its rows do not lie in one piece
  const formats::LowRank* added = nullptr;   // LoRA's: decode() adds it, row() has the stored bytes without it

  // The stored bytes: one piece, or for kInt4 its levels, zero points, scales and groups.
  std::vector<std::span<const std::byte>> pieces() const;
  // Of any type but kInt4.
  const std::byte* row(size_t r) const { return bytes + order.stored_row(r) * row_bytes; }
  // Columns [first, first + out.size()) of row r: whole blocks.
  void decode(size_t r, size_t first, std::span<float> out) const;
};

Layout fast_layout(const StoredRows& source);

// Bytes of one tile row (16 rows, all columns).
uint64_t tile_row_bytes(Layout layout, size_t cols);

// Writes tile row `tile`; rows beyond the last are zero. Promise: layout is not kStored, `out` holds tile_row_bytes().
void pack_tile_row(const StoredRows& source, Layout layout, size_t tile, std::byte* out);

// Whether every weight of a packed tile row is a finite number; packing keeps the mark of those that are not.
bool is_finite(Layout layout, const std::byte* tile_row, size_t cols);

}  // namespace phial::model
