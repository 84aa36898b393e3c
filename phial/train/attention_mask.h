// Which keys a query of a dense layer sees, as a mask: its own document, not after itself, within the window.
#pragma once

#include "phial/spec/spec.h"
#include "phial/train/batch.h"
#include "phial/train/torch.h"

namespace phial::train {

// Whether a document of the batch is longer than the layers' window.
bool has_window(const spec::DecoderSpec& spec, const Batch& batch);

// Bool [B, 1, T, T], on `device`; undefined: the causal rule alone. Memory is quadratic: while it is made it takes 7
// bytes for each of B * T * T pairs. Promise: positions of the batch are below spec.context.
at::Tensor attention_mask(const spec::DecoderSpec& spec, const Batch& batch, const at::Device& device = at::kCPU);

}  // namespace phial::train
