// A number of bytes as a person reads it.
#pragma once

#include <cstdint>
#include <string>

namespace phial {

// "1.5 GB": powers of ten; one decimal below 100, none of single bytes.
std::string bytes_text(uint64_t bytes);

}  // namespace phial
