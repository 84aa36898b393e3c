// A zip archive in memory, read within limits: few members, each unpacked only so far, all of them together only so
// far.
//
// Errors: kCorrupt, kOutOfRange (a "zip bomb"), kUnsupported (encrypted members), kNotFound (no such member).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "phial/base/result.h"

struct zip;

namespace phial::documents {

class Archive {
 public:
  // `bytes` must outlive the archive.
  static Result<Archive> open(std::string_view bytes);
  Archive(Archive&& other) noexcept;
  Archive& operator=(Archive&&) = delete;
  ~Archive();

  bool has(const std::string& name) const;
  std::vector<std::string> names() const;
  Result<std::string> read(const std::string& name);

 private:
  explicit Archive(zip* handle) : handle_(handle) {}

  zip* handle_;
  uint64_t unpacked_bytes_ = 0;
};

// The name of a member that `reference` (a relative or absolute path, percent-encoded, perhaps with a #fragment) means
// within the member `from`; empty if it leaves the archive.
std::string resolve_reference(std::string_view from, std::string_view reference);

}  // namespace phial::documents
