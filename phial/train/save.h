// A trained decoder as a Hugging Face folder: config.json and model.safetensors, as Phi-3's and Llama's are.
//
// A configuration of Phi-3-small has fields for muP's multipliers. For the others they are folded into the weights: the
// embedding's multiplier into the embedding, the divisor of logits into the head, the scale of attention into the
// queries. A tied output matrix that cannot hold both is written as two.
// Errors: kIo; kInvalid if something stands at `folder`.
#pragma once

#include <filesystem>
#include <vector>

#include "phial/base/json.h"
#include "phial/base/result.h"
#include "phial/spec/spec.h"
#include "phial/tensor/dtype.h"
#include "phial/train/parameters.h"

namespace phial::train {

// `config`: that which the spec was read of. `files_of`: a folder whose tokenizer files come along; empty: none.
// `preprocessor`: preprocessor_config.json of a model that sees, or null.
Status write_model_folder(const std::filesystem::path& folder, const spec::DecoderSpec& spec, const Json& config,
                          const std::vector<Parameter>& parameters, tensor::DType dtype,
                          const std::filesystem::path& files_of = {}, const Json& preprocessor = nullptr);

// The files beside config.json that a tokenizer and its chat template are made of, as far as they are there.
Status copy_tokenizer(const std::filesystem::path& from, const std::filesystem::path& to);

}  // namespace phial::train
