// A JSON file that stands beside others, such as a model's tokenizer_config.json.
#pragma once

#include <filesystem>

#include "phial/base/json.h"
#include "phial/base/result.h"

namespace phial {

// null where there is none. kCorrupt, by its name, if it is no JSON; kOutOfRange beyond 64 MiB.
Result<Json> read_json_if_there(const std::filesystem::path& path);

}  // namespace phial
