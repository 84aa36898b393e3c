#include "phial/base/output_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

namespace phial {
namespace {

Error cannot_write(const std::filesystem::path& path) {
  return Error{Code::kIo, path.string() + ": cannot write: " + std::strerror(errno), "make room, or write elsewhere"};
}

}  // namespace

Result<OutputFile> OutputFile::create(const std::filesystem::path& path) {
  const int descriptor = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (descriptor < 0) return cannot_write(path);
  return OutputFile(path, descriptor);
}

OutputFile::OutputFile(OutputFile&& other) noexcept
    : path_(std::move(other.path_)), descriptor_(std::exchange(other.descriptor_, -1)) {}

OutputFile::~OutputFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

Status OutputFile::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(descriptor_, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return cannot_write(path_);
    bytes = bytes.subspan(static_cast<size_t>(n));
  }
  return ok();
}

Status OutputFile::finish() {
  if (::fsync(descriptor_) != 0) return cannot_write(path_);
  return ok();
}

}  // namespace phial
