// Low-rank adapters: every matrix of the layers gets a product of two narrow ones added, and only those are trained.
//
// Shapes: A [R, in], B [out, R]; y = W x + alpha / R * B A x. B begins at zero, so training begins with the model as it
// is. Names and files are those of PEFT. Source: LoRA (arXiv 2106.09685). Threads: one.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "phial/base/result.h"
#include "phial/spec/spec.h"
#include "phial/train/parameters.h"

namespace phial::train {

struct LoraOptions {
  int64_t rank = 0;  // 0: none
  double alpha = 0;
  double scale() const { return alpha / static_cast<double>(rank); }
};

// What PEFT calls the halves of the adapter of a tensor.
std::string lora_name(std::string_view tensor, char half);

// A and B of every matrix of the layers, in their order.
std::vector<Parameter> new_adapter(const spec::DecoderSpec& spec, const LoraOptions& options, uint64_t seed);

// Adds the products to the matrices, in place: the same network without an adapter.
void merge(const std::vector<Parameter>& adapter, const LoraOptions& options, std::vector<Parameter>& parameters);

// adapter_config.json and adapter_model.safetensors. `base`: the model's folder, as the configuration names it.
// Errors: kIo; kInvalid if something stands at `folder`.
Status write_adapter(const std::filesystem::path& folder, const std::vector<Parameter>& adapter,
                     const LoraOptions& options, const std::string& base);

}  // namespace phial::train
