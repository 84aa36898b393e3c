// Named values, as bar, line and pie charts show them, and what can be asked about them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "phial/data/pictures/number_format.h"
#include "phial/data/pictures/picture.h"

namespace phial::data {

struct Series {
  std::string title;  // may be empty: none is shown
  std::vector<std::string> names;
  std::vector<int64_t> values;  // above 0, no two alike
  NumberFormat format;
  int64_t step = 1;  // between the marks of the axis, of which the last is steps * step
  int steps = 5;

  int64_t most() const { return step * steps; }
};

enum class Names { kAny, kInTime };

// `marked`: each value stands beside what shows it, so it may be any number; else it is a whole number of half steps,
// which can be read off the axis. Promise: 2 <= count <= 8.
Series make_series(Random& random, int count, Names names, bool marked);

std::string content_of(const Series& series);

// What may be asked: with kOrder only what is larger, how many there are, the title.
enum class Asked { kOrder, kValues };
// `what`: what shows a value, such as "bar"; `chart`: the picture, such as "bar chart".
Question ask_series(Random& random, const Series& series, Asked asked, const std::string& what,
                    const std::string& chart);

}  // namespace phial::data
