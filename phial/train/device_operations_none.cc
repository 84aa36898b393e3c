// What stands in for the kernels where there are none: every door says so.
#include "phial/train/device_operations.h"

namespace phial::train {
namespace {

[[noreturn]] void refuse() {
  C10_THROW_ERROR(
      Error, "this phial-train was built without CUDA: build it with cmake --preset cuda, or train on the processor");
}

}  // namespace

bool has_device_operations() { return false; }

std::string cuda_device_name(int) { refuse(); }

void device_rms_norm(const at::Tensor&, const at::Tensor&, double, const at::Tensor&, const at::Tensor&) { refuse(); }

at::Tensor device_rms_norm_gradient(const at::Tensor&, const at::Tensor&, const at::Tensor&, const at::Tensor&,
                                    const at::Tensor&) {
  refuse();
}

void device_swiglu(const at::Tensor&, const at::Tensor&, const at::Tensor&) { refuse(); }

void device_swiglu_gradient(const at::Tensor&, const at::Tensor&, const at::Tensor&, const at::Tensor&,
                            const at::Tensor&) {
  refuse();
}

void device_turn(const at::Tensor&, const at::Tensor&, const at::Tensor&, float, const at::Tensor&) { refuse(); }

std::pair<at::Tensor, at::Tensor> device_block_sparse(const at::Tensor&, const at::Tensor&, const at::Tensor&,
                                                      const BlockSparsePlan&, double) {
  refuse();
}

std::array<at::Tensor, 3> device_block_sparse_gradients(const at::Tensor&, const at::Tensor&, const at::Tensor&,
                                                        const at::Tensor&, const at::Tensor&, const at::Tensor&,
                                                        const BlockSparsePlan&, double) {
  refuse();
}

}  // namespace phial::train
