// What stands at a path, asked of the system: WebAssembly's standard library has no std::filesystem beside paths.
#pragma once

#include <filesystem>
#include <vector>

#include "phial/base/result.h"

namespace phial {

// A file, a folder, or something else; a link to nothing is not there.
bool is_there(const std::filesystem::path& path);
bool is_folder(const std::filesystem::path& path);

// folder / name of everything in it, in no order. kIo, also for one that is not there, with the system's reason.
Result<std::vector<std::filesystem::path>> list_folder(const std::filesystem::path& folder);

}  // namespace phial
