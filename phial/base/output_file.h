// A file that is written from its first byte to its last, in pieces.
//
// Errors: kIo with the system's reason (a full disk). Whoever writes removes what was begun.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>

#include "phial/base/result.h"

namespace phial {

class OutputFile {
 public:
  static Result<OutputFile> create(const std::filesystem::path& path);

  OutputFile(OutputFile&& other) noexcept;
  OutputFile& operator=(OutputFile&&) = delete;
  ~OutputFile();

  Status write(std::span<const std::byte> bytes);
  // Everything is on the disk when this returns.
  Status finish();

 private:
  OutputFile(std::filesystem::path path, int descriptor) : path_(std::move(path)), descriptor_(descriptor) {}

  std::filesystem::path path_;
  int descriptor_ = -1;
};

}  // namespace phial
