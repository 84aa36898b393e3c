#include "phial/base/today.h"

#include <ctime>

namespace phial {

std::string today() {
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  char text[16] = "1970-01-01";
  if (::localtime_r(&now, &local) != nullptr) std::strftime(text, sizeof text, "%Y-%m-%d", &local);
  return text;
}

}  // namespace phial
