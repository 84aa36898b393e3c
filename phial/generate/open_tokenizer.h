// The tokenizer that belongs to a model: in the GGUF file itself, or beside the weights of a folder.
#pragma once

#include <filesystem>
#include <memory>

#include "phial/base/result.h"
#include "phial/formats/checkpoint.h"
#include "phial/tokenizer/tokenizer.h"

namespace phial::generate {

// kNotFound if the model has none.
Result<std::unique_ptr<tokenizer::Tokenizer>> open_tokenizer(const formats::Checkpoint& checkpoint);
// A folder needs no weights for it.
Result<std::unique_ptr<tokenizer::Tokenizer>> open_tokenizer(const std::filesystem::path& model);

}  // namespace phial::generate
