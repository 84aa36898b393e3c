// Which type each tensor of a GGUF file gets. Used by the quantizer; docs/decisions/0006-quantizer.md says why.
//
// Norms, biases and rotary factors stay as they are. The output matrix, and an embedding that serves as one, gets at
// least Q6_K. K types need rows of a multiple of 256 weights, the others of 32: where they do not apply, Q4_K becomes
// Q4_1, Q5_K Q5_1 and Q6_K Q8_0, and where nothing applies a matrix stays in 16 bits.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "phial/formats/new_tensor.h"
#include "phial/model/input_observer.h"
#include "phial/tensor/dtype.h"

namespace phial::quantize {

// The inputs of one or several matrices. `layer` of kHead is the number of layers.
struct Inputs {
  int layer = 0;
  model::InputsOf which = model::InputsOf::kQkv;
  auto operator<=>(const Inputs&) const = default;
};

struct Choice {
  tensor::DType type = tensor::DType::kF32;
  bool is_quantized = false;     // else it is written as it is, or rounded to 16 bits
  std::string reason;            // why a matrix has not the type that was asked for; empty: it has
  std::optional<Inputs> inputs;  // of a quantized matrix: what it is multiplied with; none: rows are looked up
};

// Types that `phial quantize --to` takes, smallest first.
std::span<const tensor::DType> quantizable_types();

// One choice a tensor; `n_layers` of the model they are all of.
std::vector<Choice> choose_types(std::span<const formats::NewTensor> tensors, tensor::DType to, int n_layers);

// The same with the smallest type for every matrix, the output's too: where a budget of bits begins.
std::vector<Choice> choose_smallest(std::span<const formats::NewTensor> tensors, int n_layers);

// The inputs of the matrices that are calibrated, in their order, with the columns of each.
std::vector<std::pair<Inputs, size_t>> inputs_needed(std::span<const formats::NewTensor> tensors,
                                                     std::span<const Choice> choices);

// True if any matrix is stored in blocks or in 4 bits already.
bool is_quantized(std::span<const formats::NewTensor> tensors);

}  // namespace phial::quantize
