// Which day it is.
#pragma once

#include <string>

namespace phial {

// yyyy-mm-dd, local time: what chat templates are told when they ask.
std::string today();

}  // namespace phial
