// The weights of a tensor, one after the other, from the pieces that it is put together from. Used inside quantize
// only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <stop_token>

#include "phial/base/result.h"
#include "phial/formats/new_tensor.h"

namespace phial::quantize {

uint64_t count_weights(const formats::NewTensor& tensor);

class TensorWeights {
 public:
  // `tensor` outlives this.
  explicit TensorWeights(const formats::NewTensor& tensor) : tensor_(tensor) {}

  // The next ones. Promise: whole rows. kCorrupt if one is not a finite number.
  Status read(std::span<float> out);

 private:
  const formats::NewTensor& tensor_;
  size_t piece_ = 0;
  uint64_t first_ = 0;  // weight of that piece
};

// Hands over the weights of a matrix some hundred rows at a time: body(first row, [rows, columns]). kCorrupt as read(),
// kCancelled if `stop` was requested, or what the body returns.
Status for_each_rows(const formats::NewTensor& matrix, const std::stop_token& stop,
                     const std::function<Status(uint64_t first, std::span<float> rows)>& body);

}  // namespace phial::quantize
