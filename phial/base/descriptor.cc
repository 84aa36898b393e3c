#include "phial/base/descriptor.h"

#include <cerrno>
#include <cstring>
#include <string>

namespace phial {
namespace {

const char* remedy_for(int reason) {
  switch (reason) {
    case ENOENT:
    case ENOTDIR:
    case ENAMETOOLONG:
    case ELOOP:
      return "check the path";
    case EACCES:
    case EPERM:
      return "check its permissions";
    case EISDIR:
      return "name a file";
    case EROFS:
      return "name a place that can be written";
    case ENOSPC:
    case EDQUOT:
      return "free some space on that disk and try again";
    case EMFILE:
    case ENFILE:
      return "close other programs, or raise the limit of open files (ulimit -n)";
    case EAGAIN:
    case ENOMEM:
      return "close other programs and try again";
    default:
      return "";
  }
}

}  // namespace

Error system_error(const std::filesystem::path& path, const char* act) {
  const int reason = errno;
  return Error{reason == ENOENT ? Code::kNotFound : Code::kIo,
               std::string("cannot ") + act + ": " + std::strerror(reason) + " (" + path.string() + ")",
               remedy_for(reason)};
}

}  // namespace phial
