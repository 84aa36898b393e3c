// The lists of a BlockSparsePlan as the kernels of CUDA devices read them: in tiles of 64 positions
// (kernels/cuda/block_sparse.h says what the arrays mean).
//
// Threads: immutable once made.
#pragma once

#include <cstddef>
#include <vector>

#include "phial/kernels/cuda/block_sparse.h"
#include "phial/train/block_sparse_attention.h"

namespace phial::train {

class BlockSparseTiles {
 public:
  BlockSparseTiles(const BlockSparsePlan& plan, int n_heads, int n_kv_heads);

  // All arrays one after the other, to be copied to a device.
  const std::vector<int>& numbers() const { return numbers_; }
  // For kernels, whose copy of numbers() is at `copy`.
  kernels::cuda::BlockSparseTiles at(const int* copy) const;

 private:
  void add_lists(const spec::BlockSparseLists& lists);
  void add_work(const std::vector<DocumentInBatch>& documents);

  kernels::cuda::BlockSparseTiles sizes_ = {};
  std::vector<int> numbers_;
  size_t far_ = 0, far_before_ = 0, first_near_ = 0, near_end_ = 0;  // places in numbers_
  size_t documents_ = 0, query_items_ = 0, key_items_ = 0;
};

}  // namespace phial::train
