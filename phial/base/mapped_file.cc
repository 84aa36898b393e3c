#include "phial/base/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace phial {
namespace {

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

Error system_error(const std::filesystem::path& path, const char* act) {
  const int reason = errno;
  return Error{reason == ENOENT ? Code::kNotFound : Code::kIo,
               path.string() + ": cannot " + act + ": " + std::strerror(reason),
               reason == ENOENT   ? "check the path"
               : reason == ENOSPC ? "free some space on that disk and try again"
                                  : ""};
}

// The whole of `fd` into `to`; a file that shrinks meanwhile is an error, not silence.
Status read_exactly(const std::filesystem::path& path, int fd, std::byte* to, size_t size) {
  size_t done = 0;
  while (done < size) {
    const ssize_t n = ::read(fd, to + done, size - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return system_error(path, "read");
    if (n == 0) return Error{Code::kIo, path.string() + ": it became shorter while being read", "try again"};
    done += static_cast<size_t>(n);
  }
  return ok();
}

}  // namespace

Result<MappedFile> MappedFile::open(const std::filesystem::path& path, LoadMode mode) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) return system_error(path, "open");
  struct stat info{};
  if (::fstat(file.get(), &info) != 0) return system_error(path, "look at");
  if (!S_ISREG(info.st_mode)) return Error{Code::kInvalid, path.string() + " is not a regular file", "name a file"};

  MappedFile mapped;
  mapped.path_ = path;
  if (info.st_size == 0) return mapped;
  const auto size = static_cast<size_t>(info.st_size);
  const bool copy = mode == LoadMode::kCopy;
  void* memory = copy ? ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
                      : ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.get(), 0);
  if (memory == MAP_FAILED) return system_error(path, "map");
  mapped.data_ = static_cast<std::byte*>(memory);
  mapped.size_ = size;
  if (copy) {
    PHIAL_CHECKED(read_exactly(path, file.get(), mapped.data_, size));
  }
  return mapped;
}

MappedFile::MappedFile(MappedFile&& other) noexcept { *this = std::move(other); }

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  if (this != &other) {
    release();
    path_ = std::move(other.path_);
    data_ = std::exchange(other.data_, nullptr);
    size_ = std::exchange(other.size_, 0);
  }
  return *this;
}

MappedFile::~MappedFile() { release(); }

void MappedFile::release() {
  if (data_ != nullptr) ::munmap(data_, size_);
  data_ = nullptr;
  size_ = 0;
}

Result<std::string> read_text_file(const std::filesystem::path& path, size_t max_bytes) {
  PHIAL_TRY(const MappedFile file, MappedFile::open(path, LoadMode::kCopy));
  if (file.bytes().size() > max_bytes) {
    return Error{Code::kOutOfRange,
                 path.string() + " has " + std::to_string(file.bytes().size()) + " bytes, " +
                     std::to_string(max_bytes) + " are allowed here",
                 ""};
  }
  return std::string(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size());
}

Status write_file_atomically(const std::filesystem::path& path, std::span<const std::byte> bytes) {
  std::filesystem::path beside = path;
  beside += ".part-" + std::to_string(::getpid());
  {
    const Descriptor file(::open(beside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
    if (file.get() < 0) return system_error(path, "create");
    size_t done = 0;
    while (done < bytes.size()) {
      const ssize_t n = ::write(file.get(), bytes.data() + done, bytes.size() - done);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) {
        Error error = system_error(path, "write");
        ::unlink(beside.c_str());
        return error;
      }
      done += static_cast<size_t>(n);
    }
    if (::fsync(file.get()) != 0) {
      Error error = system_error(path, "write");
      ::unlink(beside.c_str());
      return error;
    }
  }
  if (::rename(beside.c_str(), path.c_str()) != 0) {
    Error error = system_error(path, "replace");
    ::unlink(beside.c_str());
    return error;
  }
  return ok();
}

}  // namespace phial
