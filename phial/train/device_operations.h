// The operations of training that have kernels of our own for CUDA devices, as fused.h and block_sparse_attention.h ask
// for them: tensors are on one device, and the kernels run in its current stream.
//
// A phial-train that was built without PHIAL_CUDA throws c10::Error in all of them. Threads: any.
#pragma once

#include <array>
#include <string>
#include <utility>

#include "phial/train/block_sparse_attention.h"
#include "phial/train/torch.h"

namespace phial::train {

// Whether this build has them.
bool has_device_operations();

// "NVIDIA H200".
std::string cuda_device_name(int device);

// x: [..., D], f32, contiguous -> out: [..., D], f32 or bf16; inverses: [rows], f32.
void device_rms_norm(const at::Tensor& x, const at::Tensor& gain, double eps, const at::Tensor& out,
                     const at::Tensor& inverses);
// gradient: as out -> of_x: as x. Returns that of the gain, [D].
at::Tensor device_rms_norm_gradient(const at::Tensor& x, const at::Tensor& gain, const at::Tensor& inverses,
                                    const at::Tensor& gradient, const at::Tensor& of_x);

// [rows, F], rows of gate and up (and of their gradients) equally far apart, those of out and gradient contiguous.
void device_swiglu(const at::Tensor& gate, const at::Tensor& up, const at::Tensor& out);
void device_swiglu_gradient(const at::Tensor& gate, const at::Tensor& up, const at::Tensor& gradient,
                            const at::Tensor& of_gate, const at::Tensor& of_up);

// heads, out: [B, H, T, E], the last contiguous; cos, sin: [B, 1, T, half], f32, contiguous.
void device_turn(const at::Tensor& heads, const at::Tensor& cos, const at::Tensor& sin, float sign,
                 const at::Tensor& out);

// The output [B, H, T, E] and each row's log-sum-exp, for the gradients.
std::pair<at::Tensor, at::Tensor> device_block_sparse(const at::Tensor& queries, const at::Tensor& keys,
                                                      const at::Tensor& values, const BlockSparsePlan& plan,
                                                      double scale);
// Of queries, keys, values.
std::array<at::Tensor, 3> device_block_sparse_gradients(const at::Tensor& queries, const at::Tensor& keys,
                                                        const at::Tensor& values, const at::Tensor& mixed,
                                                        const at::Tensor& log_sums, const at::Tensor& gradient,
                                                        const BlockSparsePlan& plan, double scale);

}  // namespace phial::train
