// LoRA adapters as PEFT saves them: adapter_config.json beside adapter_model.safetensors.
//
// Source: LoRA (arXiv 2106.09685), rank-stabilised scale (2312.03732); PEFT's checkpoint format. Errors name the file:
// kNotFound, kCorrupt, kUnsupported for adapters that are more than a low rank (DoRA, embeddings, other methods).
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "phial/base/result.h"
#include "phial/formats/checkpoint.h"
#include "phial/formats/low_rank.h"

namespace phial::formats {

// By the name of the base model's tensor.
struct LoraAdapter {
  Checkpoint file;  // that `whole` stands in
  std::map<std::string, LowRank> added;
  std::map<std::string, Tensor> whole;  // in place of the base model's
};

Result<LoraAdapter> open_lora(const std::filesystem::path& folder);

}  // namespace phial::formats
