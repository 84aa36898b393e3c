// Chooses the kernels for a type.
#include "phial/kernels/cuda/block_sparse.h"

#include "phial/kernels/cuda/block_sparse_device.cuh"

namespace phial::kernels::cuda {

const char* block_sparse_forward(const BlockSparseProblem& problem, Stream stream) {
  const BlockSparsePass pass{.problem = problem, .gradients = {}};
  return problem.type == Number::kBf16 ? block_sparse_forward_bf16(pass, stream)
                                       : block_sparse_forward_plain(pass, stream);
}

const char* block_sparse_backward(const BlockSparseProblem& problem, const BlockSparseGradients& gradients,
                                  Stream stream) {
  const BlockSparsePass pass{.problem = problem, .gradients = gradients};
  return problem.type == Number::kBf16 ? block_sparse_backward_bf16(pass, stream)
                                       : block_sparse_backward_plain(pass, stream);
}

}  // namespace phial::kernels::cuda
