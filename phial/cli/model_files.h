// Opening what --model names: its checkpoint and its tokenizer.
#pragma once

#include <filesystem>
#include <memory>

#include "phial/formats/checkpoint.h"
#include "phial/tokenizer/tokenizer.h"

namespace phial::cli {

Result<std::unique_ptr<tokenizer::Tokenizer>> open_tokenizer(const std::filesystem::path& model);

}  // namespace phial::cli
