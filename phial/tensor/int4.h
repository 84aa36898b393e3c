// Four-bit matrices of Hugging Face folders: AWQ (its "gemm" layout) and GPTQ.
//
// A matrix maps `inputs` numbers to `outputs`; its weights are numbers of four bits (levels, 0..15), eight to a word. A
// group of inputs shares, for each output, a scale and a zero point: weight = (level - zero) * scale. Layouts:
// docs/formats.md. Sources: AWQ (arXiv 2306.00978), GPTQ (arXiv 2210.17323) and their published checkpoints.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "phial/tensor/dtype.h"

namespace phial::tensor {

// A view of stored bytes, which may begin at any address. Whoever fills it has checked that they hold what the counts
// say, that inputs and outputs are multiples of 8, and that every group that an input names exists.
struct Int4Matrix {
  enum class Packing : uint8_t { kAwq, kGptq };

  Packing packing = Packing::kGptq;
  size_t inputs = 0, outputs = 0;
  size_t group_size = 0;           // inputs of a group, where `groups` does not say
  int zero_offset = 0;             // added to stored zero points (first version of GPTQ: 1)
  DType scale_type = DType::kF16;  // F16, BF16 or F32
  const std::byte* levels = nullptr;
  const std::byte* zeros = nullptr;
  const std::byte* scales = nullptr;  // [groups, outputs]
  const std::byte* groups = nullptr;  // i32 [inputs], the group of each (act-order); null: inputs in order

  size_t n_groups() const { return (inputs + group_size - 1) / group_size; }
  size_t group(size_t input) const;
  int zero(size_t group, size_t output) const;
  float scale(size_t group, size_t output) const;
};

// The levels of inputs [first, first + n) of each of some outputs: levels[o * n + i]. Outputs that are asked for
// together are read together, since AWQ keeps the inputs of one far apart. Promise: kMostTogether of them at most.
inline constexpr size_t kMostTogether = 16;
void read_levels(const Int4Matrix& matrix, std::span<const size_t> outputs, size_t first, size_t n, uint8_t* levels);

// The weights of one output's inputs [first, first + out.size()), exact.
void decode_row(const Int4Matrix& matrix, size_t output, size_t first, std::span<float> out);

// True if the inputs are whole runs of `run`, each within one group.
bool groups_are_whole(const Int4Matrix& matrix, size_t run);

bool all_zeros_are(const Int4Matrix& matrix, int zero);

}  // namespace phial::tensor
