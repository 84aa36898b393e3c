#include "phial/base/folder.h"

#include <dirent.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>

namespace phial {
namespace {

Error not_listed(const std::filesystem::path& folder) {
  return Error{Code::kIo, std::string("cannot list the folder: ") + std::strerror(errno) + " (" + folder.string() + ")",
               "check its permissions"};
}

}  // namespace

bool is_there(const std::filesystem::path& path) {
  struct stat info{};
  return ::stat(path.c_str(), &info) == 0;
}

bool is_folder(const std::filesystem::path& path) {
  struct stat info{};
  return ::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

Result<std::vector<std::filesystem::path>> list_folder(const std::filesystem::path& folder) {
  struct Close {
    void operator()(DIR* open) const { ::closedir(open); }
  };
  const std::unique_ptr<DIR, Close> open(::opendir(folder.c_str()));
  if (open == nullptr) return not_listed(folder);
  std::vector<std::filesystem::path> paths;
  for (;;) {
    errno = 0;
    const dirent* const entry = ::readdir(open.get());  // NOLINT(concurrency-mt-unsafe): of a stream of our own
    if (entry == nullptr) break;
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") paths.push_back(folder / name);
  }
  if (errno != 0) return not_listed(folder);
  return paths;
}

}  // namespace phial
