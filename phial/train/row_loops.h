// Loops of our own over rows of tensors, on libtorch's threads: another pool's would wait for a core on which
// libtorch's still spin.
//
// Threads: from outside a loop of libtorch's.
#pragma once

#include <ATen/TensorIterator.h>

#include <cstdint>

#include "phial/train/torch.h"

namespace phial::train {

// body(first, end) for parts that make up [0, n), several at a time; where they are cut depends on the number of
// threads.
template <class Body>
void for_parts(int64_t n, const Body& body) {
  if (n == 0) return;
  // libtorch's parallel_for is a template for sources with OpenMP; its iterator calls it inside the library.
  at::Tensor numbers = at::arange(n, at::kLong);
  at::TensorIterator iterator = at::TensorIterator::nullary_op(numbers);
  iterator.for_each(
      [&body](char** data, const int64_t*, int64_t size, int64_t times) {
        const int64_t first = *reinterpret_cast<const int64_t*>(data[0]);
        body(first, first + size * times);
      },
      /*grain_size=*/1);
}

}  // namespace phial::train
