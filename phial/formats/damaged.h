// The errors of files that do not keep their format's promises.
#pragma once

#include <string>
#include <utility>

#include "phial/base/result.h"

namespace phial::formats {

inline Error damaged(std::string message) {
  return Error{Code::kCorrupt, std::move(message), "the file is damaged: get it again"};
}

// Bytes that the file promises are not there.
inline Error cut_short(std::string message) {
  return Error{Code::kCorrupt, std::move(message), "the file is cut short or damaged: get it again"};
}

}  // namespace phial::formats
