#include "phial/base/output_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace phial {

Result<OutputFile> OutputFile::create(const std::filesystem::path& path) {
  Descriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
  if (file.get() < 0) return system_error(path, "create");
  return OutputFile(path, std::move(file));
}

Result<OutputFile> OutputFile::overwrite(const std::filesystem::path& path, const std::filesystem::path& named) {
  Descriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (file.get() < 0) return system_error(named, "create");
  return OutputFile(named, std::move(file));
}

Status OutputFile::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(file_.get(), bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return system_error(named_, "write");
    bytes = bytes.subspan(static_cast<size_t>(n));
  }
  return ok();
}

Status OutputFile::finish() {
  // EINVAL: a pipe or a terminal has nothing to sync; EROFS: some devices say so.
  if (::fsync(file_.get()) != 0 && errno != EINVAL && errno != EROFS) return system_error(named_, "write");
  return ok();
}

}  // namespace phial
