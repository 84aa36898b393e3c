// Activation checkpointing: keeps a function's input instead of its inside, and computes it again for the gradients.
//
// Source: Training Deep Nets with Sublinear Memory Cost (arXiv 1604.06174).
#pragma once

#include <functional>

#include "phial/train/torch.h"

namespace phial::train {

using TensorFunction = std::function<at::Tensor(const at::Tensor&)>;

// f(x), with the gradients that f(x) would have; those of tensors that f holds are accumulated in their grad().
// Promise: x requires a gradient, f is deterministic and lives as long as the graph.
at::Tensor recomputed(const TensorFunction& f, const at::Tensor& x);

}  // namespace phial::train
