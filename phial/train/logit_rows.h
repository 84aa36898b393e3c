// What rows of logits say of their targets, in the memory of the rows alone: on the CPU by loops of our own, elsewhere
// by libtorch's operations, a few over all rows at once.
//
// Threads: one caller.
#pragma once

#include <cstdint>
#include <span>

#include "phial/train/torch.h"

namespace phial::train {

// [R, V] logits as the matrix product makes them, f32 or bf16, before they are divided. They are used up.
struct LogitRows {
  at::Tensor logits;
  at::Tensor targets;  // [R], int64. Promise: below V
  double divisor = 1;
  std::span<const int64_t> masked = {};  // never an answer: out of the sum
};

// What the terms of a loss count, and where they go.
struct RowLosses {
  at::Tensor weights;  // [R], f32; undefined: 1
  double z_loss = 0;
  at::Tensor nll, z;  // [R], f64, outputs
};

// The logits become the gradients of the sum of both losses.
void take_gradients(const LogitRows& rows, const RowLosses& losses);

// [R], f32, of the targets.
at::Tensor log_probabilities(const LogitRows& rows);

// The same two by libtorch's operations on any device, for tests.
void take_gradients_by_operations(const LogitRows& rows, const RowLosses& losses);
at::Tensor log_probabilities_by_operations(const LogitRows& rows);

}  // namespace phial::train
