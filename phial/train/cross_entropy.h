// The loss of a decoder's output without its logits: they are made for a few rows at a time, forwards and backwards at
// once, and never stand in memory together; of rows whose target does not count none are made.
//
// Source: chunked cross-entropy as in Cut Your Losses (arXiv 2411.09009) and Liger (arXiv 2410.10989); z-loss, PaLM
// (arXiv 2204.02311), section 5.
#pragma once

#include <cstdint>
#include <vector>

#include "phial/train/torch.h"

namespace phial::train {

struct CrossEntropyOptions {
  double logit_divisor = 1;
  double z_loss = 0;                     // weight of the square of log(sum(exp(logits)))
  std::vector<int64_t> masked_ids = {};  // never an answer: out of the sum
  at::Tensor weights = {};               // [N], of each target, on the CPU; undefined: all count the same
  at::ScalarType compute = at::kFloat;   // of the matrix products; sums are f32
  int64_t chunk_rows = 0;                // 0: as many as make about 16 MB of logits, on a GPU half a GB
};

struct CrossEntropy {
  at::Tensor objective;  // what is differentiated: the sum of both below over all targets that count
  at::Tensor nll;        // weighted sum of negative log-likelihoods, not differentiable
  at::Tensor z;          // weighted sum of squares, not differentiable
};

// hidden: [N, D]; head: [V, D]; targets: [N], on the CPU whatever device the others are on, kIgnored for rows that do
// not count.
CrossEntropy cross_entropy(const at::Tensor& hidden, const at::Tensor& head, const at::Tensor& targets,
                           const CrossEntropyOptions& options);

// [N], f32, on the CPU: the log-probability of each target, 0 where it does not count. Not differentiable; z_loss and
// weights have no part in it.
at::Tensor target_log_probabilities(const at::Tensor& hidden, const at::Tensor& head, const at::Tensor& targets,
                                    const CrossEntropyOptions& options);

}  // namespace phial::train
