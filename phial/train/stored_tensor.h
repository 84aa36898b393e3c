// Tensors of this room as files hold them: what the writers of formats take, and what was read back.
#pragma once

#include <cstddef>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "phial/formats/new_tensor.h"
#include "phial/train/torch.h"

namespace phial::train {

// Lives until what it lists is written.
class StoredTensors {
 public:
  // Refers to the memory of a tensor of the CPU; of another device keeps a copy. Promise: f32 and contiguous.
  void add(const std::string& name, const at::Tensor& tensor, tensor::DType dtype = tensor::DType::kF32) {
    const at::Tensor& here = kept_.emplace_back(tensor.detach().cpu());
    tensors_.push_back({.name = name,
                        .dtype = dtype,
                        .shape = {here.sizes().begin(), here.sizes().end()},
                        .pieces = {{.dtype = tensor::DType::kF32,
                                    .bytes = reinterpret_cast<const std::byte*>(here.const_data_ptr<float>()),
                                    .count = static_cast<uint64_t>(here.numel())}}});
  }

  const std::vector<formats::NewTensor>& tensors() const { return tensors_; }

 private:
  std::vector<at::Tensor> kept_;
  std::vector<formats::NewTensor> tensors_;
};

// Puts stored f32 numbers over those of `into`, on any device. Promise: contiguous, and as many.
inline void take_stored(const std::byte* bytes, const at::Tensor& into) {
  const at::Tensor values = into.detach();
  const at::Tensor here = values.is_cpu() ? values : at::empty(values.sizes(), at::kFloat);
  std::memcpy(here.mutable_data_ptr<float>(), bytes, here.nbytes());
  if (!values.is_cpu()) values.copy_(here);
}

}  // namespace phial::train
