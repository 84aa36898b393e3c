// A file as read-only memory, for as long as the object lives.
//
// Errors: kNotFound, kIo (with the system's reason), kInvalid for a folder or device. Threads: immutable once open.
#pragma once

#include <cstddef>
#include <filesystem>
#include <initializer_list>
#include <span>
#include <utility>

#include "phial/base/descriptor.h"
#include "phial/base/result.h"
#include "phial/base/text_file.h"  // IWYU pragma: export

namespace phial {

// kMap: pages come from the file when touched; should another program cut the file short meanwhile, the system ends
// this one (SIGBUS). kCopy: what hold() has read is this program's own, and does not change with the file.
enum class LoadMode { kMap, kCopy };

class MappedFile {
 public:
  static Result<MappedFile> open(const std::filesystem::path& path, LoadMode mode = LoadMode::kMap);

  MappedFile(MappedFile&& other) noexcept { *this = std::move(other); }
  MappedFile& operator=(MappedFile&& other) noexcept {
    if (this != &other) {
      release();
      path_ = std::move(other.path_);
      data_ = std::exchange(other.data_, nullptr);
      size_ = std::exchange(other.size_, 0);
      file_ = std::move(other.file_);
    }
    return *this;
  }
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  ~MappedFile() { release(); }

  std::span<const std::byte> bytes() const { return {data_, size_}; }
  const std::filesystem::path& path() const { return path_; }

  // kCopy: reads the pages of `part` into memory; bytes() shows them in the same place. kMap: does nothing.
  // A part outside this file is left alone. Threads: nobody reads the part meanwhile. Errors: kIo, also for a file that
  // has become shorter.
  Status hold(std::span<const std::byte> part) const;

  // Gives the memory behind `part` back, also what was held: for bytes that have been copied elsewhere. They stay
  // readable, from the file again. A part outside this file is left alone.
  void forget(std::span<const std::byte> part) const;

 private:
  MappedFile() = default;
  bool contains(std::span<const std::byte> part) const;
  void release();  // the memory of an object that is set or destroyed next

  std::filesystem::path path_;
  std::byte* data_ = nullptr;
  size_t size_ = 0;
  Descriptor file_;  // kCopy only: what is held is read from it
};

// Writes beside `path` and renames over it, so that a reader or a crash sees the old file or the new one, never half.
// A pipe or device is written to as it is; a symbolic link stays one.
Status write_file_atomically(const std::filesystem::path& path, std::span<const std::byte> bytes);
// The same for a file in several parts, written one after the other.
Status write_file_atomically(const std::filesystem::path& path,
                             std::initializer_list<std::span<const std::byte>> parts);

}  // namespace phial
