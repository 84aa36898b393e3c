// What libtorch throws, as an error of one line: caught at the room's doors.
#pragma once

#include <c10/util/Exception.h>

#include <string>

#include "phial/base/result.h"

namespace phial::train {

inline Error torch_error(const std::exception& thrown) {
  const auto* own = dynamic_cast<const c10::Error*>(&thrown);
  const std::string text = own != nullptr ? own->what_without_backtrace() : thrown.what();
  return {Code::kOutOfRange, "libtorch: " + text.substr(0, text.find('\n')).substr(0, 300), ""};
}

}  // namespace phial::train
