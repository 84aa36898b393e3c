#include "phial/base/regular_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <string>
#include <utility>

namespace phial {

Result<RegularFile> RegularFile::open(const std::filesystem::path& path) {
  // O_NONBLOCK: opening a pipe that nobody writes to must not wait for ever.
  Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.get() < 0) return system_error(path, "open");
  struct stat info{};
  if (::fstat(file.get(), &info) != 0) return system_error(path, "look at");
  if (!S_ISREG(info.st_mode))
    return Error{Code::kInvalid, "it is not a regular file (" + path.string() + ")", "name a file"};
  const auto size = static_cast<uint64_t>(info.st_size);
  if (!std::in_range<size_t>(size)) {
    return Error{Code::kOutOfRange, "it has more bytes than a program of 32 bits can hold (" + path.string() + ")",
                 "name a smaller file"};
  }
  return RegularFile(std::move(file), static_cast<size_t>(size));
}

Status read_exactly(const std::filesystem::path& path, int fd, size_t offset, std::byte* to, size_t size) {
  size_t done = 0;
  while (done < size) {
    const ssize_t n = ::pread(fd, to + done, size - done, static_cast<off_t>(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return system_error(path, "read");
    if (n == 0) return Error{Code::kIo, "it became shorter while being read (" + path.string() + ")", "try again"};
    done += static_cast<size_t>(n);
  }
  return ok();
}

}  // namespace phial
