#include "phial/tensor/int4.h"

#include <algorithm>
#include <cstring>

#include "phial/tensor/blocks.h"

namespace phial::tensor {
namespace {

// AWQ: output 8w + j of a word stands at nibble kAwqPlace[j]; nibbles 0..7 hold outputs 0, 2, 4, 6, 1, 3, 5, 7.
constexpr int kAwqPlace[8] = {0, 4, 1, 5, 2, 6, 3, 7};

uint32_t word_at(const std::byte* from, size_t i) {
  uint32_t word;
  std::memcpy(&word, from + i * sizeof word, sizeof word);
  return word;
}

// Where an output stands in a word of eight.
int shift_of(Int4Matrix::Packing packing, size_t output) {
  const size_t in_word = output % 8;
  return 4 * (packing == Int4Matrix::Packing::kAwq ? kAwqPlace[in_word] : static_cast<int>(in_word));
}

}  // namespace

size_t Int4Matrix::group(size_t input) const { return groups != nullptr ? word_at(groups, input) : input / group_size; }

int Int4Matrix::zero(size_t group, size_t output) const {
  const uint32_t word = word_at(zeros, group * (outputs / 8) + output / 8);
  return static_cast<int>((word >> shift_of(packing, output)) & 15) + zero_offset;
}

float Int4Matrix::scale(size_t group, size_t output) const {
  float value = 0;
  decode_row(scale_type, scales, group * outputs + output, {&value, 1});
  return value;
}

void read_levels(const Int4Matrix& matrix, std::span<const size_t> outputs, size_t first, size_t n, uint8_t* levels) {
  if (matrix.packing == Int4Matrix::Packing::kAwq) {  // words run along the outputs, one row of them an input
    const size_t row_bytes = matrix.outputs / 8 * sizeof(uint32_t);
    int shifts[kMostTogether];
    for (size_t o = 0; o < outputs.size(); ++o) shifts[o] = shift_of(matrix.packing, outputs[o]);
    for (size_t i = 0; i < n; ++i) {
      const std::byte* row = matrix.levels + (first + i) * row_bytes;
      for (size_t o = 0; o < outputs.size(); ++o) levels[o * n + i] = (word_at(row, outputs[o] / 8) >> shifts[o]) & 15;
    }
    return;
  }
  for (const size_t output : outputs) {  // words run along the inputs, the first in the lowest nibble
    for (size_t input = first; input < first + n; ++input) {
      *levels++ = (word_at(matrix.levels, input / 8 * matrix.outputs + output) >> (4 * (input % 8))) & 15;
    }
  }
}

void decode_row(const Int4Matrix& matrix, size_t output, size_t first, std::span<float> out) {
  constexpr size_t kChunk = 64;
  uint8_t levels[kChunk];
  size_t group = SIZE_MAX;
  float scale = 0;
  int zero = 0;
  for (size_t done = 0; done < out.size(); done += kChunk) {
    const size_t count = std::min(kChunk, out.size() - done);
    read_levels(matrix, {&output, 1}, first + done, count, levels);
    for (size_t i = 0; i < count; ++i) {
      if (const size_t own = matrix.group(first + done + i); own != group) {
        group = own;
        scale = matrix.scale(group, output);
        zero = matrix.zero(group, output);
      }
      out[done + i] = static_cast<float>(levels[i] - zero) * scale;
    }
  }
}

bool groups_are_whole(const Int4Matrix& matrix, size_t run) {
  if (matrix.inputs % run != 0) return false;
  if (matrix.groups == nullptr) return matrix.group_size % run == 0 || matrix.group_size >= matrix.inputs;
  for (size_t i = 0; i < matrix.inputs; ++i) {
    if (matrix.group(i) != matrix.group(i - i % run)) return false;
  }
  return true;
}

bool all_zeros_are(const Int4Matrix& matrix, int zero) {
  const int stored = zero - matrix.zero_offset;
  if (stored < 0 || stored > 15) return false;
  const uint32_t wanted = 0x11111111U * static_cast<uint32_t>(stored);
  for (size_t i = 0; i < matrix.n_groups() * (matrix.outputs / 8); ++i) {
    if (word_at(matrix.zeros, i) != wanted) return false;
  }
  return true;
}

}  // namespace phial::tensor
