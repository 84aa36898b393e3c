// What this program is.
#pragma once

#include <string>

namespace phial::cli {

std::string version();       // "0.1.0"
std::string version_text();  // for --version: and the instruction sets compiled in, runnable here and chosen

}  // namespace phial::cli
