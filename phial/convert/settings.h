// What a model's blueprint is called on each side. Used inside convert only.
#pragma once

#include "phial/base/json.h"
#include "phial/base/result.h"
#include "phial/spec/spec.h"
#include "phial/tensor/dtype.h"

namespace phial::convert {

// What GGUF's general.file_type says.
int file_type(tensor::DType weights);

// GGUF metadata without the tokenizer's. kUnsupported names what GGUF cannot express.
Result<Json> gguf_metadata(const spec::DecoderSpec& spec, tensor::DType weights);

// config.json. `metadata`: the GGUF's own, for the ids of special tokens.
Result<Json> folder_config(const spec::DecoderSpec& spec, tensor::DType weights, const Json& metadata);

}  // namespace phial::convert
