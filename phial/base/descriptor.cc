#include "phial/base/descriptor.h"

#include <cerrno>
#include <cstring>
#include <string>

namespace phial {

Error system_error(const std::filesystem::path& path, const char* act) {
  const int reason = errno;
  return Error{reason == ENOENT ? Code::kNotFound : Code::kIo,
               std::string("cannot ") + act + ": " + std::strerror(reason) + " (" + path.string() + ")",
               reason == ENOENT   ? "check the path"
               : reason == ENOSPC ? "free some space on that disk and try again"
                                  : ""};
}

}  // namespace phial
