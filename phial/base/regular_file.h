// A regular file, open for reading. Opening a pipe or a device is an error and never waits.
#pragma once

#include <cstddef>
#include <filesystem>
#include <utility>

#include "phial/base/descriptor.h"
#include "phial/base/result.h"

namespace phial {

class RegularFile {
 public:
  static Result<RegularFile> open(const std::filesystem::path& path);
  int descriptor() const { return file_.get(); }
  size_t size() const { return size_; }
  Descriptor take() && { return std::move(file_); }

 private:
  RegularFile(Descriptor file, size_t size) : file_(std::move(file)), size_(size) {}

  Descriptor file_;
  size_t size_;
};

// `size` bytes of `fd` from `offset` on; a file that shrinks meanwhile is an error, not silence.
Status read_exactly(const std::filesystem::path& path, int fd, size_t offset, std::byte* to, size_t size);

}  // namespace phial
