#include "phial/quantize/plan.h"

#include <algorithm>
#include <charconv>

#include "phial/model/tensor_names.h"
#include "phial/tensor/block_numbers.h"

namespace phial::quantize {
namespace {

using formats::NewTensor;
using model::InputsOf;
using model::kGgufNames;
using tensor::DType;

constexpr DType kTypes[] = {DType::kPhialQ3, DType::kPhialQ4, DType::kQ4_0, DType::kQ4_K, DType::kQ4_1,
                            DType::kQ5_0,    DType::kQ5_K,    DType::kQ5_1, DType::kQ6_K, DType::kQ8_0};

// Their matrices' inputs decide every answer at once, and they are few of a large model's weights.
constexpr DType kLeastOfOutput = DType::kQ6_K;

double bits(DType type) { return 8.0 * tensor::info(type).block_bytes / tensor::info(type).block_size; }

// The next type of the same kind with blocks of 32.
DType with_short_blocks(DType type) {
  switch (type) {
    case DType::kQ4_K:
      return DType::kQ4_1;
    case DType::kQ5_K:
      return DType::kQ5_1;
    case DType::kQ6_K:
      return DType::kQ8_0;
    default:
      return type;
  }
}

// "blk.3.attn_q.weight" -> 3 and "attn_q"; an empty name if it is in no layer.
struct LayerName {
  int layer = 0;
  std::string_view name;
};
LayerName in_layer(std::string_view name) {
  const std::string_view prefix = kGgufNames.layers;
  if (!name.starts_with(prefix)) return {};
  name.remove_prefix(prefix.size());
  LayerName out;
  const auto [end, failed] = std::from_chars(name.data(), name.data() + name.size(), out.layer);
  name.remove_prefix(static_cast<size_t>(end - name.data()));
  if (failed != std::errc() || !name.starts_with('.')) return {};
  out.name = name.substr(1, name.rfind('.') - 1);
  return out;
}

std::optional<Inputs> inputs_of(std::string_view name) {
  const LayerName found = in_layer(name);
  const auto is_one_of = [&](std::initializer_list<const char*> names) {
    return std::ranges::any_of(names, [&](const char* one) { return found.name == one; });
  };
  if (is_one_of({kGgufNames.qkv, kGgufNames.q, kGgufNames.k, kGgufNames.v})) return Inputs{found.layer, InputsOf::kQkv};
  if (is_one_of({kGgufNames.output})) return Inputs{found.layer, InputsOf::kAttentionOutput};
  if (is_one_of({kGgufNames.gate, kGgufNames.up})) return Inputs{found.layer, InputsOf::kGateUp};
  if (is_one_of({kGgufNames.down})) return Inputs{found.layer, InputsOf::kDown};
  return std::nullopt;
}

bool is_matrix(const NewTensor& tensor) { return tensor.shape.size() == 2 && tensor.name.ends_with(".weight"); }

std::string name_of(DType type) { return std::string(tensor::info(type).name); }

std::vector<Choice> choose(std::span<const NewTensor> tensors, DType to, DType least_of_output, int n_layers) {
  const std::string embedding = std::string(kGgufNames.embedding) + ".weight";
  const std::string head = std::string(kGgufNames.head) + ".weight";
  const bool is_tied = std::ranges::none_of(tensors, [&](const NewTensor& one) { return one.name == head; });
  std::vector<Choice> choices;
  for (const NewTensor& tensor : tensors) {
    Choice& choice = choices.emplace_back();
    choice.type = tensor.dtype;
    if (!is_matrix(tensor)) continue;
    DType type = to;
    const bool is_output = tensor.name == head || (is_tied && tensor.name == embedding);
    if (is_output && bits(type) < bits(least_of_output)) {
      type = least_of_output;
      choice.reason = "what makes the answer gets " + name_of(type) + " or more";
    }
    const uint64_t columns = tensor.shape.back();
    if (columns % tensor::info(type).block_size != 0) {
      choice.reason = name_of(type) + " needs rows of a multiple of " + std::to_string(tensor::info(type).block_size) +
                      " weights, these have " + std::to_string(columns);
      type = with_short_blocks(type);
    }
    if (columns % tensor::info(type).block_size != 0) {
      choice.type = tensor.dtype == DType::kBF16 ? DType::kBF16 : DType::kF16;
      continue;
    }
    choice.type = type;
    choice.is_quantized = true;
    choice.inputs = is_output ? Inputs{n_layers, InputsOf::kHead} : inputs_of(tensor.name);
  }
  return choices;
}

}  // namespace

std::span<const DType> quantizable_types() { return kTypes; }

std::vector<Choice> choose_types(std::span<const NewTensor> tensors, DType to, int n_layers) {
  return choose(tensors, to, kLeastOfOutput, n_layers);
}

std::vector<Choice> choose_smallest(std::span<const NewTensor> tensors, int n_layers) {
  return choose(tensors, kTypes[0], kTypes[0], n_layers);
}

std::vector<std::pair<Inputs, size_t>> inputs_needed(std::span<const NewTensor> tensors,
                                                     std::span<const Choice> choices) {
  std::vector<std::pair<Inputs, size_t>> needed;
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (choices[i].inputs) needed.emplace_back(*choices[i].inputs, static_cast<size_t>(tensors[i].shape.back()));
  }
  return needed;
}

bool is_quantized(std::span<const NewTensor> tensors) {
  return std::ranges::any_of(tensors, [](const NewTensor& tensor) {
    return is_matrix(tensor) && std::ranges::any_of(tensor.pieces, [](const formats::Piece& piece) {
             return piece.int4 != nullptr || tensor::info(piece.dtype).block_size > 1;
           });
  });
}

}  // namespace phial::quantize
