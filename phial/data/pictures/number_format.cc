#include "phial/data/pictures/number_format.h"

#include <cstdlib>

namespace phial::data {

std::string written(int64_t value, const NumberFormat& format) {
  std::string digits = std::to_string(std::llabs(value));
  const auto decimals = static_cast<size_t>(format.decimals);
  if (digits.size() <= decimals) digits.insert(0, decimals + 1 - digits.size(), '0');
  std::string whole = digits.substr(0, digits.size() - decimals);
  if (format.thousands) {
    for (size_t i = whole.size(); i > 3; i -= 3) whole.insert(i - 3, ",");
  }
  if (decimals > 0) whole += "." + digits.substr(digits.size() - decimals);
  return (value < 0 ? "-" : "") + format.before + whole + format.after;
}

}  // namespace phial::data
