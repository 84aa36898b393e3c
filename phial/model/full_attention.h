// Attention in which every token of a sequence sees every other one, as in encoders. Used inside model only.
//
// Scores of all keys are held, then normalised, then mixed: a query's result has the same bits however many are
// computed together. Threads: one call a thread; its scratch is its own.
#pragma once

#include <cstddef>
#include <span>

#include "phial/kernels/kernels.h"

namespace phial::model {

// Queries of one head that are worth computing together.
inline constexpr size_t kFullAttentionQueries = 64;

struct FullAttention {
  const float* qkv = nullptr;  // the sequence's first row: queries of all heads, then keys, then values
  size_t stride = 0;
  size_t tokens = 0;
  size_t heads = 0, head_dim = 0;
  float* out = nullptr;  // [tokens, heads * head_dim], out_stride apart
  size_t out_stride = 0;
};

size_t full_attention_scratch(size_t tokens, size_t head_dim);  // floats

// Of one head: the queries from `first` on, at most kFullAttentionQueries.
void attend_fully(const kernels::KernelSet& kernels, const FullAttention& of, size_t head, size_t first,
                  std::span<float> scratch);

}  // namespace phial::model
