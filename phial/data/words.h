// Words for made-up texts.
#pragma once

#include <span>
#include <string>

namespace phial::data {

// Common English words of three to eight letters, lower case.
std::span<const std::string> plain_words();

}  // namespace phial::data
