// The texts of a corpus, one after the other, from files of any size.
//
// A file whose name ends in .jsonl is one JSON object a line whose "text" is a document (other fields are left alone,
// empty lines too); any other file is one document. Texts are UTF-8.
// Errors: kNotFound, kIo, kCorrupt, kUnsupported for a line with pictures; they name the file and the line. Threads:
// one at a time.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>

#include "phial/base/mapped_file.h"
#include "phial/base/result.h"

namespace phial::formats {

class DocumentReader {
 public:
  static Result<DocumentReader> open(const std::filesystem::path& path);

  // The next document that is not empty; nothing at the end.
  Result<std::optional<std::string>> next();

  // Bytes of the file, and how many of them have been read.
  size_t bytes() const { return file_.bytes().size(); }
  size_t bytes_read() const { return position_; }

 private:
  DocumentReader(MappedFile file, bool has_lines) : file_(std::move(file)), has_lines_(has_lines) {}

  MappedFile file_;
  bool has_lines_;
  size_t position_ = 0;
  size_t line_ = 0;
};

}  // namespace phial::formats
