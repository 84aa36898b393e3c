// Writes a safetensors file, as docs/formats.md describes it.
#pragma once

#include <filesystem>
#include <stop_token>
#include <vector>

#include "phial/formats/new_tensor.h"

namespace phial::formats {

// Promise: every name is given once. Errors: kIo, kCancelled; the file is then not whole.
Status write_safetensors(const std::filesystem::path& path, std::vector<NewTensor> tensors,
                         const std::stop_token& stop);

}  // namespace phial::formats
