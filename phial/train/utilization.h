// How much of the machine a run uses: model FLOPs utilization, the operations that the network needs for a step as a
// share of those that the machine could have multiplied meanwhile.
//
// Source: PaLM (arXiv 2204.02311), appendix B: 6 operations a token for each weight of a matrix, forwards and
// backwards, and 12 for each number of a query that meets a key. What is computed again to save memory does not count.
// Here a query meets the keys before it and none behind; sparse layers count as dense. Threads: pure functions, but for
// the measurement.
#pragma once

#include <cstdint>

#include "phial/spec/spec.h"
#include "phial/train/torch.h"

namespace phial::train {

// What a step computed.
struct ComputedRows {
  int64_t tokens = 0;
  int64_t pairs = 0;  // of a query and a key, in each head

  ComputedRows& operator+=(const ComputedRows& other) {
    tokens += other.tokens;
    pairs += other.pairs;
    return *this;
  }
};

// Of rows [B, T], each of one document.
inline ComputedRows computed_rows(const at::Tensor& ids) {
  const int64_t rows = ids.size(0), tokens = ids.size(1);
  return {rows * tokens, rows * tokens * (tokens + 1) / 2};
}

// Operations, a multiply-add as two. `is_adapter`: the matrices themselves are not trained, which saves a third.
double operations(const spec::DecoderSpec& spec, const ComputedRows& rows, bool is_adapter);

// Operations a second that `device` multiplies at most in this type: as published for bf16 on GPUs that are known
// (dense), else of a product of square matrices, the best of some: a tenth of a second.
double peak_operations(at::ScalarType type, const at::Device& device = at::kCPU);

}  // namespace phial::train
