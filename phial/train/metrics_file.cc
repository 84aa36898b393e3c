#include "phial/train/metrics_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "phial/base/mapped_file.h"

namespace phial::train {

Result<MetricsFile> MetricsFile::open(const std::filesystem::path& path, uint64_t bytes) {
  Descriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666));
  struct stat status = {};
  if (file.get() < 0 || ::fstat(file.get(), &status) != 0) return system_error(path, "open");
  uint64_t kept = bytes;
  if (static_cast<uint64_t>(status.st_size) < bytes) {
    PHIAL_TRY(const std::string text, read_text_file(path));
    kept = text.rfind('\n') + 1;  // 0 if there is none
  }
  if (::ftruncate(file.get(), static_cast<off_t>(kept)) != 0) return system_error(path, "write");
  return MetricsFile(path, std::move(file), kept);
}

Status MetricsFile::append(const Json& line) {
  const std::string text = dump_json(line) + "\n";
  for (size_t written = 0; written < text.size();) {
    const ssize_t n = ::write(file_.get(), text.data() + written, text.size() - written);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return system_error(path_, "write");
    written += static_cast<size_t>(n);
  }
  bytes_ += text.size();
  return ok();
}

}  // namespace phial::train
