// metrics.jsonl: one JSON object a step, appended. A run that goes on from a snapshot cuts off what came after it.
//
// Errors: kIo. Threads: one.
#pragma once

#include <cstdint>
#include <filesystem>

#include "phial/base/descriptor.h"
#include "phial/base/json.h"
#include "phial/base/result.h"

namespace phial::train {

class MetricsFile {
 public:
  // Keeps the first `bytes` of what is there; of a file that has fewer, its whole lines.
  static Result<MetricsFile> open(const std::filesystem::path& path, uint64_t bytes);

  Status append(const Json& line);
  uint64_t bytes() const { return bytes_; }

 private:
  MetricsFile(std::filesystem::path path, Descriptor file, uint64_t bytes)
      : path_(std::move(path)), file_(std::move(file)), bytes_(bytes) {}

  std::filesystem::path path_;
  Descriptor file_;
  uint64_t bytes_;
};

}  // namespace phial::train
