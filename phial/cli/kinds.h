// --kind of the commands that make data up: "all", or names with commas between them.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "phial/base/result.h"

namespace phial::cli {

std::string kinds_help(std::span<const std::string_view> known);

// kInvalid for a name that is not known.
Status read_kinds(const std::string& text, std::span<const std::string_view> known, std::vector<std::string>& into);

}  // namespace phial::cli
