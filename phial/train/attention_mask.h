// Which keys a query sees, as a dense mask: its own document, not after itself, within the window, and in block-sparse
// layers the blocks of spec/block_sparse.
#pragma once

#include "phial/spec/spec.h"
#include "phial/train/batch.h"
#include "phial/train/torch.h"

namespace phial::train {

// Memory is quadratic: while it is made the dense one takes 7 bytes for each of B * T * T pairs.
struct AttentionMasks {
  at::Tensor dense;   // bool [B, 1, T, T]; undefined: the causal rule alone
  at::Tensor sparse;  // bool [B, H, T, T], for block-sparse layers; undefined: there are none
};

// Promise: positions of the batch are below spec.context.
AttentionMasks attention_masks(const spec::DecoderSpec& spec, const Batch& batch);

}  // namespace phial::train
