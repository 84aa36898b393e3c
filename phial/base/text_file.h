// A small text file, whole.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>

#include "phial/base/result.h"

namespace phial {

// kNotFound, kIo (with the system's reason), kInvalid for a folder or device, kOutOfRange if it is larger than
// `max_bytes`.
Result<std::string> read_text_file(const std::filesystem::path& path, size_t max_bytes = size_t{256} << 20);

}  // namespace phial
