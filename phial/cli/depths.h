// How many tokens the cache holds before a measurement: "0,1k,2k,4k".
#pragma once

#include <string_view>
#include <vector>

#include "phial/base/result.h"

namespace phial::cli {

inline constexpr int kMostDepth = 1 << 20;

// One number or several with commas between them; k stands for 1024. In the order given. kInvalid names what is no
// number from 0 to kMostDepth; so it does for more than 32 of them.
Result<std::vector<int>> parse_depths(std::string_view text);

}  // namespace phial::cli
