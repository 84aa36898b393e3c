#include "phial/model/full_attention.h"

#include <algorithm>
#include <cmath>

#include "phial/model/matrix.h"

namespace phial::model {
namespace {

// The keys of one head as the weights of a product: w[(i * dim + d) * 16 + r] is dimension d of key 16 i + r, times the
// scale of scores. Keys that pad the last tile are zero.
void tile_keys(const FullAttention& of, const float* keys, float* tiles) {
  const size_t dim = of.head_dim, padded = round_up(of.tokens, kernels::kTileRows);
  const auto scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(dim)));
  for (size_t key = 0; key < padded; ++key) {
    float* column = tiles + key / kernels::kTileRows * dim * kernels::kTileRows + key % kernels::kTileRows;
    for (size_t d = 0; d < dim; ++d) {
      column[d * kernels::kTileRows] = key < of.tokens ? keys[key * of.stride + d] * scale : 0.0F;
    }
  }
}

}  // namespace

size_t full_attention_scratch(size_t tokens, size_t head_dim) {
  return round_up(tokens, kernels::kTileRows) * (kFullAttentionQueries + head_dim);
}

void attend_fully(const kernels::KernelSet& kernels, const FullAttention& of, size_t head, size_t first,
                  std::span<float> scratch) {
  const size_t dim = of.head_dim, queries = std::min(kFullAttentionQueries, of.tokens - first);
  const size_t padded = round_up(of.tokens, kernels::kTileRows), column = head * dim;
  const float* keys = of.qkv + of.heads * dim + column;
  float* tiles = scratch.data();
  float* scores = tiles + padded * dim;
  tile_keys(of, keys, tiles);
  kernels.gemm_f32(tiles, {.D = dim,
                           .tile_rows = padded / kernels::kTileRows,
                           .n_tokens = queries,
                           .x = of.qkv + first * of.stride + column,
                           .x_stride = of.stride,
                           .y = scores,
                           .y_stride = padded});
  float* out = of.out + first * of.out_stride + column;
  for (size_t q = 0; q < queries; ++q) {
    kernels.softmax(scores + q * padded, of.tokens);
    std::fill_n(out + q * of.out_stride, dim, 0.0F);
  }
  kernels.mix_f32(scores, padded, queries, {keys + of.heads * dim, of.stride, of.tokens}, dim, out, of.out_stride);
}

}  // namespace phial::model
