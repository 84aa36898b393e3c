// A file that is written from its first byte to its last, in pieces.
//
// Errors: kIo with the system's reason (a full disk), kNotFound for a folder that is not there. Whoever writes removes
// what was begun. Threads: one at a time a file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>

#include "phial/base/descriptor.h"
#include "phial/base/result.h"

namespace phial {

class OutputFile {
 public:
  // A new one: a file that is there is an error.
  static Result<OutputFile> create(const std::filesystem::path& path);
  // What is there, cut to its first `keep` bytes, and written on behind them. kCorrupt if it has fewer.
  static Result<OutputFile> append(const std::filesystem::path& path, uint64_t keep);
  // What is there is emptied; a pipe or device is written to. Messages call it `named`.
  static Result<OutputFile> overwrite(const std::filesystem::path& path, const std::filesystem::path& named);

  Status write(std::span<const std::byte> bytes);
  // Everything so far is on the disk when this returns.
  Status finish();

 private:
  friend Status replace_private_file(const std::filesystem::path& path,
                                     const std::function<Status(OutputFile& file)>& write);
  OutputFile(std::filesystem::path named, Descriptor file) : named_(std::move(named)), file_(std::move(file)) {}

  std::filesystem::path named_;
  Descriptor file_;
};

// Puts a file in place of what stands at `path`, when `write` has filled it: whatever goes wrong, the old file or the
// new one stands there whole, and nothing beside it. Its owner alone may read it, unless the old one was open to
// others. A link stays, and what it points to is replaced. kInvalid if that is no file.
Status replace_private_file(const std::filesystem::path& path, const std::function<Status(OutputFile& file)>& write);

// Makes `folder`, and the folders that it lies in, where they are not there.
Status make_folders(const std::filesystem::path& folder);

// kInvalid if something stands at `target`, or nothing could.
Status check_is_new(const std::filesystem::path& target);

// "folder/" means "folder".
std::filesystem::path place_of(const std::filesystem::path& target);

// Where the beginning of what will stand at `target` is written: a hidden name beside it.
std::filesystem::path partial_path(const std::filesystem::path& target);

// The error with `named` where its message has `hidden`, a name that nobody gave.
Error named_as(Error error, const std::filesystem::path& hidden, const std::filesystem::path& named);

// Has `write` make a file or folder at partial_path(target), and puts it there when it is whole: whatever
// goes wrong, nothing but the whole output ever stands at `target`. "folder/" means "folder". kInvalid if `target` is
// there already; the errors of `write`, which then name `target`.
Status write_beside(const std::filesystem::path& target,
                    const std::function<Status(const std::filesystem::path& partial)>& write);

}  // namespace phial
