// A Hugging Face folder with a LoRA adapter worked into its weights, as a folder of its own.
#pragma once

#include <filesystem>
#include <stop_token>

#include "phial/base/result.h"

namespace phial::convert {

// Weights keep their type; sums are taken in f32. What else stands in `base` (tokenizer, licence) is copied. Errors:
// those of open_lora and Checkpoint::open; kInvalid for an adapter that does not fit or an output that is there,
// kUnsupported for weights that are quantized, kIo, kCancelled. Nothing but the whole output ever stands at `out`.
// Memory: the adapter, and a piece of one matrix.
Status merge_lora(const std::filesystem::path& base, const std::filesystem::path& adapter,
                  const std::filesystem::path& out, const std::stop_token& stop);

}  // namespace phial::convert
