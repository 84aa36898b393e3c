// Operations of a layer in one pass over memory each, forwards and backwards, where libtorch makes several: they cost
// as much as the products of a small model.
//
// Inputs and outputs are f32 or bf16; what is between is f32. Differentiable once: backward with create_graph throws.
// Results have the same bits for any number of threads. On the processor and, in a build with PHIAL_CUDA, on CUDA
// devices. Sources: Liger (arXiv 2410.10989), section 3; docs/sources.md
// for the operations themselves. Threads: one caller.
#pragma once

#include "phial/train/torch.h"

namespace phial::train {

// x: [..., D], f32; gain: [D], f32 -> x * gain / sqrt(mean(x^2) + eps), in `type`.
at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& gain, double eps, at::ScalarType type);

// gate, up: [..., F] -> silu(gate) * up, in their type.
at::Tensor swiglu(const at::Tensor& gate, const at::Tensor& up);
// Of both in one, [..., 2 F], the gates first.
at::Tensor swiglu(const at::Tensor& both);

// heads: [B, H, T, E], in any layout; cos, sin: [B, 1, T, half], f32, half <= E / 2. Element d of a head's first half
// pairs is turned with element d + half; in their type, on the CPU contiguous.
at::Tensor rotated(const at::Tensor& heads, const at::Tensor& cos, const at::Tensor& sin);

}  // namespace phial::train
