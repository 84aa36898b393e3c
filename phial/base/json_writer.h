// A JSON file, written.
#pragma once

#include <filesystem>

#include "phial/base/json.h"
#include "phial/base/result.h"

namespace phial {

// Atomically, with a line end. `indent`: spaces a level; below 0 it is one line. Errors: those of
// write_file_atomically.
Status write_json_file(const std::filesystem::path& path, const Json& json, int indent = -1);

}  // namespace phial
