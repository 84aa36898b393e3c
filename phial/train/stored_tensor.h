// A tensor of this room as the writers of formats take it.
#pragma once

#include <string>

#include "phial/formats/new_tensor.h"
#include "phial/train/torch.h"

namespace phial::train {

// Refers to the tensor's memory. Promise: f32 and contiguous.
inline formats::NewTensor stored_tensor(const std::string& name, const at::Tensor& tensor,
                                        tensor::DType dtype = tensor::DType::kF32) {
  return {.name = name,
          .dtype = dtype,
          .shape = {tensor.sizes().begin(), tensor.sizes().end()},
          .pieces = {{.dtype = tensor::DType::kF32,
                      .bytes = reinterpret_cast<const std::byte*>(tensor.const_data_ptr<float>()),
                      .count = static_cast<uint64_t>(tensor.numel())}}};
}

}  // namespace phial::train
