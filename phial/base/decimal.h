// A number in the digits that a printf format asks for: "%.4f", "%.3g".
#pragma once

#include <array>
#include <cstddef>
#include <cstdio>
#include <string>

namespace phial {

// `format`: of one double. Cut after 127 characters.
inline std::string decimal(const char* format, double value) {
  std::array<char, 128> text = {};
  std::snprintf(text.data(), text.size(), format, value);
  return text.data();
}

}  // namespace phial
