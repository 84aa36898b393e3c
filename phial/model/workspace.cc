#include "phial/model/workspace.h"

namespace phial::model {
namespace {

constexpr size_t kLine = 64;  // bytes; rows of different threads share none

// Hands out parts of one piece of memory; with a null base it only counts.
class Cutter {
 public:
  Cutter(std::byte* base, size_t rows) : base_(base), rows_(rows) {}

  template <class T>
  Rows<T> cut(size_t columns) {
    const size_t row_bytes = round_up(columns * sizeof(T), kLine);
    Rows<T> rows;
    // Rows of blocks (40 bytes) stay one after the other: a stride counts whole elements.
    rows.stride = row_bytes % sizeof(T) == 0 ? row_bytes / sizeof(T) : columns;
    if (base_ != nullptr) rows.data = reinterpret_cast<T*>(base_ + used_);
    used_ += (uint64_t{rows_} * rows.stride * sizeof(T) + kLine - 1) / kLine * kLine;
    return rows;
  }

  Inputs cut_inputs(size_t columns, bool is_integer) {
    Inputs inputs;
    const size_t padded = round_up(columns, kernels::kBlock);
    inputs.floats = cut<float>(padded);
    if (is_integer) inputs.blocks = cut<kernels::Q8Block>(padded / kernels::kBlock);
    return inputs;
  }

  uint64_t used() const { return used_; }

 private:
  std::byte* base_;
  size_t rows_;
  uint64_t used_ = 0;
};

uint64_t lay_out(Workspace& to, const WorkspaceShape& shape, std::byte* base) {
  Cutter cutter(base, shape.rows);
  to.is_integer = shape.is_integer;
  to.x = cutter.cut<float>(shape.hidden);
  to.branch = cutter.cut<float>(shape.hidden);
  to.qkv = cutter.cut<float>(shape.qkv);
  to.gate_up = cutter.cut<float>(shape.ffn_in);
  to.cos = cutter.cut<float>(shape.half_rotary);
  to.sin = cutter.cut<float>(shape.half_rotary);
  to.hidden = cutter.cut_inputs(shape.hidden, shape.is_integer);
  to.attended = cutter.cut_inputs(shape.attended, shape.is_integer);
  to.activated = cutter.cut_inputs(shape.ffn_out, shape.is_integer);
  return cutter.used();
}

}  // namespace

uint64_t Workspace::bytes(const WorkspaceShape& shape) {
  Workspace counted;
  return lay_out(counted, shape, nullptr);
}

Result<Workspace> Workspace::make(const WorkspaceShape& shape) {
  Workspace work;
  PHIAL_TRY(work.memory_, AlignedBytes::make(bytes(shape), "scratch memory"));
  lay_out(work, shape, work.memory_.data());
  work.scratch_.resize(static_cast<size_t>(shape.threads));
  return work;
}

void Workspace::reserve_scratch(size_t floats) {
  // Half as much again, so that a growing conversation does not grow this at every token.
  for (auto& own : scratch_) {
    if (own.size() < floats) own.resize(floats + floats / 2);
  }
}

}  // namespace phial::model
