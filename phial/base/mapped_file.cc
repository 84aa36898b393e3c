#include "phial/base/mapped_file.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <system_error>
#include <utility>

#include "phial/base/descriptor.h"
#include "phial/base/output_file.h"
#include "phial/base/regular_file.h"

namespace phial {
namespace {

size_t page_bytes() { return static_cast<size_t>(::sysconf(_SC_PAGESIZE)); }

Status write_parts(OutputFile file, std::initializer_list<std::span<const std::byte>> parts) {
  for (const std::span<const std::byte> part : parts) PHIAL_CHECKED(file.write(part));
  return file.finish();
}

}  // namespace

Result<MappedFile> MappedFile::open(const std::filesystem::path& path, LoadMode mode) {
  PHIAL_TRY(RegularFile file, RegularFile::open(path));
  MappedFile mapped;
  mapped.path_ = path;
  if (file.size() == 0) return mapped;
  void* memory = ::mmap(nullptr, file.size(), PROT_READ, MAP_PRIVATE, file.descriptor(), 0);
  if (memory == MAP_FAILED) return system_error(path, "map");
  mapped.data_ = static_cast<std::byte*>(memory);
  mapped.size_ = file.size();
  if (mode == LoadMode::kCopy) mapped.file_ = std::move(file).take();
  return mapped;
}

void MappedFile::release() {
  if (data_ != nullptr) ::munmap(data_, size_);
}

bool MappedFile::contains(std::span<const std::byte> part) const {
  return !part.empty() && part.data() >= data_ && part.data() + part.size() <= data_ + size_;
}

// The pages are read elsewhere and then moved to where the file's were, so that whoever points into them may go on.
Status MappedFile::hold(std::span<const std::byte> part) const {
  if (file_.get() < 0 || !contains(part)) return ok();
  const size_t page = page_bytes();
  const auto first = static_cast<size_t>(part.data() - data_);
  const size_t begin = first / page * page, end = (first + part.size() + page - 1) / page * page;
  void* own = ::mmap(nullptr, end - begin, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (own == MAP_FAILED) return system_error(path_, "find memory for");
  Status read = read_exactly(path_, file_.get(), begin, static_cast<std::byte*>(own), std::min(end, size_) - begin);
  if (read && (::mprotect(own, end - begin, PROT_READ) != 0 ||
               ::mremap(own, end - begin, end - begin, MREMAP_MAYMOVE | MREMAP_FIXED, data_ + begin) == MAP_FAILED)) {
    read = system_error(path_, "place");
  }
  if (!read) ::munmap(own, end - begin);
  return read;
}

void MappedFile::forget(std::span<const std::byte> part) const {
  if (!contains(part)) return;
  // Whole pages inside the part only: those at its ends hold other things as well.
  const size_t page = page_bytes();
  const auto first = static_cast<size_t>(part.data() - data_);
  const size_t begin = (first + page - 1) / page * page, end = (first + part.size()) / page * page;
  if (begin >= end) return;
  if (file_.get() < 0) {
    ::madvise(data_ + begin, end - begin, MADV_DONTNEED);
    return;
  }
  // Advice would leave zeros where something was held: the file's pages take the place instead.
  const void* again =
      ::mmap(data_ + begin, end - begin, PROT_READ, MAP_PRIVATE | MAP_FIXED, file_.get(), static_cast<off_t>(begin));
  static_cast<void>(again);  // refused (too many mappings): what is held stays
}

Status write_file_atomically(const std::filesystem::path& path, std::span<const std::byte> bytes) {
  return write_file_atomically(path, {bytes});
}

Status write_file_atomically(const std::filesystem::path& path,
                             std::initializer_list<std::span<const std::byte>> parts) {
  struct stat info{};
  const bool exists = ::stat(path.c_str(), &info) == 0;
  if (exists && S_ISDIR(info.st_mode))
    return Error{Code::kInvalid, "it is a folder (" + path.string() + ")", "name a file"};
  if (exists && !S_ISREG(info.st_mode)) {  // a pipe or device is never replaced
    PHIAL_TRY(OutputFile file, OutputFile::overwrite(path, path));
    return write_parts(std::move(file), parts);
  }
  // A link stays, and what it points to is replaced.
  std::error_code error;
  const std::filesystem::path real = exists ? std::filesystem::canonical(path, error) : path;
  const std::filesystem::path& target = error ? path : real;
  std::filesystem::path beside = target;
  beside += ".part-" + std::to_string(::getpid());
  PHIAL_TRY(OutputFile file, OutputFile::overwrite(beside, path));
  Status written = write_parts(std::move(file), parts);
  if (written && ::rename(beside.c_str(), target.c_str()) != 0) written = system_error(path, "replace");
  if (!written) ::unlink(beside.c_str());
  return written;
}

}  // namespace phial
