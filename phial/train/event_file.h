// Metrics as a TensorBoard event file, appended step by step. A run that goes on from a snapshot cuts off what came
// after it.
//
// Values are kept as 32-bit floats, as the format has them: a count beyond 2^24 is rounded. Values that are not finite
// are written as they are. TensorBoard takes for event files those whose name has "tfevents" in it; the name is the
// caller's affair.
// Errors: kIo, kNotFound for a folder that is not there. Threads: one.
// Source: TensorFlow, record_writer.h (the frame of a record), event.proto and summary.proto (what is in it); RFC 3720,
// appendix B.4 (CRC-32C).
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "phial/base/output_file.h"
#include "phial/base/result.h"

namespace phial::train {

// CRC-32C (Castagnoli).
uint32_t crc32c(std::span<const std::byte> bytes);

class EventFile {
 public:
  // Keeps the first `bytes` of what is there. A file that has fewer is begun again: it may end inside a record, and
  // readers never get past such an end. An empty file gets the record of the format's version.
  static Result<EventFile> open(const std::filesystem::path& path, uint64_t bytes);

  // One record. `wall_time_seconds` since 1970; a value has the name of its curve (UTF-8) before it.
  Status append(int64_t step, double wall_time_seconds, std::span<const std::pair<std::string, double>> values);
  uint64_t bytes() const { return bytes_; }

 private:
  EventFile(OutputFile file, uint64_t bytes) : file_(std::move(file)), bytes_(bytes) {}
  Status append_record(std::span<const std::byte> event);

  OutputFile file_;
  uint64_t bytes_;
};

}  // namespace phial::train
