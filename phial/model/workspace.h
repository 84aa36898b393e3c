// The activations of one chunk of tokens, taken once at load. Used inside model only.
//
// Rows of inputs to products are padded with zeros to whole blocks; nothing ever writes the padding.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "phial/base/result.h"
#include "phial/kernels/kernels.h"
#include "phial/model/aligned_bytes.h"
#include "phial/model/matrix.h"

namespace phial::model {

template <class T>
struct Rows {
  T* data = nullptr;
  size_t stride = 0;
  T* row(size_t t) const { return data + t * stride; }
};

// Rows that feed products: as floats, and rounded to 8 bits where the products are integer.
struct Inputs {
  Rows<float> floats;
  Rows<kernels::Q8Block> blocks;
  Activations view() const { return {floats.data, floats.stride, blocks.data, blocks.stride}; }
};

struct WorkspaceShape {
  size_t rows = 0;
  size_t hidden = 0, qkv = 0, attended = 0, ffn_in = 0, ffn_out = 0;
  size_t half_rotary = 0;
  bool is_integer = false;
  int threads = 1;
};

class Workspace {
 public:
  static Result<Workspace> make(const WorkspaceShape& shape);
  static uint64_t bytes(const WorkspaceShape& shape);

  Rows<float> x, branch, qkv, gate_up, cos, sin;
  Inputs hidden, attended, activated;
  bool is_integer = false;

  // Each thread's own floats; they grow between passes, never inside one.
  void reserve_scratch(size_t floats);
  std::span<float> scratch(int thread) { return scratch_[static_cast<size_t>(thread)]; }

 private:
  AlignedBytes memory_;
  std::vector<std::vector<float>> scratch_;
};

}  // namespace phial::model
