// Chooses the kernels for a type and a device.
#include "phial/kernels/cuda/block_sparse.h"

#include "phial/kernels/cuda/block_sparse_device.cuh"

namespace phial::kernels::cuda {
namespace {

// Whether the kernels of warpgroups run here and are not made slower by what they pad: they have 64 and 128 columns.
bool takes_warpgroups(const BlockSparseProblem& problem) {
  int device = 0, major = 0;
  if (cudaGetDevice(&device) != cudaSuccess) return false;
  if (cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device) != cudaSuccess) return false;
  const int E = problem.head_dim;
  return major == 9 && ((E > 32 && E <= 64) || E > 96);
}

}  // namespace

const char* block_sparse_forward(const BlockSparseProblem& problem, Stream stream) {
  const BlockSparsePass pass{.problem = problem, .gradients = {}};
  if (problem.type != Number::kBf16) return block_sparse_forward_plain(pass, stream);
  return takes_warpgroups(problem) ? block_sparse_forward_hopper(pass, stream)
                                   : block_sparse_forward_bf16(pass, stream);
}

const char* block_sparse_backward(const BlockSparseProblem& problem, const BlockSparseGradients& gradients,
                                  Stream stream) {
  const BlockSparsePass pass{.problem = problem, .gradients = gradients};
  if (problem.type != Number::kBf16) return block_sparse_backward_plain(pass, stream);
  if (const char* error = block_sparse_means_bf16(pass, stream)) return error;
  return takes_warpgroups(problem) ? block_sparse_gradients_hopper(pass, stream)
                                   : block_sparse_gradients_bf16(pass, stream);
}

}  // namespace phial::kernels::cuda
