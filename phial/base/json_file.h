// A JSON file that stands beside others, such as a model's tokenizer_config.json.
#pragma once

#include <filesystem>

#include "phial/base/json.h"
#include "phial/base/result.h"

namespace phial {

// null where there is none. kCorrupt, by its name, if it is no JSON; kOutOfRange beyond 64 MiB.
Result<Json> read_json_if_there(const std::filesystem::path& path);

// Atomically, with a line end. `indent`: spaces a level; below 0 it is one line. Errors: those of
// write_file_atomically.
Status write_json_file(const std::filesystem::path& path, const Json& json, int indent = -1);

}  // namespace phial
