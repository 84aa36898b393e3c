// How a picture writes its numbers; answers about it are written alike.
#pragma once

#include <cstdint>
#include <string>

#include "phial/base/random.h"

namespace phial::data {

struct NumberFormat {
  int decimals = 0;        // values are whole numbers of 10^-decimals
  bool thousands = false;  // 1,250
  std::string before, after;
};

std::string written(int64_t value, const NumberFormat& format);

}  // namespace phial::data
