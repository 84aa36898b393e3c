// Attention of packed documents on CUDA without a mask: FlashAttention over sequences of any length, which the
// documents of a batch are, one after the other.
//
// Source: FlashAttention-2 (arXiv 2307.08691), as libtorch has it. Threads: one caller.
#pragma once

#include <cstdint>

#include "phial/spec/spec.h"
#include "phial/train/batch.h"
#include "phial/train/torch.h"

namespace phial::train {

struct PackedDocuments {
  at::Tensor ends;      // [documents + 1], int32, on the device: where each begins, counted over all rows, and all ends
  int64_t longest = 0;  // tokens
};

// Whether libtorch has it for such tensors.
bool can_attend_packed(const spec::DecoderSpec& spec, const at::Device& device, at::ScalarType compute);

// What fills a row up is a document of its own.
PackedDocuments packed_documents(const Batch& batch, const at::Device& device);

// queries: [B, H, T, E]; keys, values: [B, K, T, E] -> [B, H, T, E]. `window`: 0: none; else a token sees itself and
// window - 1 before it. Differentiable once.
at::Tensor packed_attention(const at::Tensor& queries, const at::Tensor& keys, const at::Tensor& values,
                            const PackedDocuments& documents, int64_t window, double scale);

}  // namespace phial::train
