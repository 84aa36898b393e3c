#include "phial/train/event_file.h"

#include <array>
#include <chrono>
#include <string_view>
#include <system_error>

#include "phial/base/append_bytes.h"

namespace phial::train {
namespace {

namespace fs = std::filesystem;

constexpr std::array<uint32_t, 256> kCrcOfByte = [] {
  constexpr uint32_t kPolynomial = 0x82F63B78;  // bits reversed
  std::array<uint32_t, 256> table{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? kPolynomial : 0);
    table[byte] = crc;
  }
  return table;
}();

// The record format's: a CRC of data that have CRCs in them would be a weak one.
uint32_t masked_crc32c(std::span<const std::byte> bytes) {
  const uint32_t crc = crc32c(bytes);
  return ((crc >> 15) | (crc << 17)) + 0xA282EAD8;
}

// A message of protocol buffers.
class Message {
 public:
  void add_double(int field, double value) {
    add_key(field, kFixed64);
    append_bytes(bytes_, value);
  }
  void add_float(int field, float value) {
    add_key(field, kFixed32);
    append_bytes(bytes_, value);
  }
  void add_int64(int field, int64_t value) {
    add_key(field, kVarint);
    add_varint(static_cast<uint64_t>(value));
  }
  void add_bytes(int field, std::span<const std::byte> value) {
    add_key(field, kLengthDelimited);
    add_varint(value.size());
    append_bytes(bytes_, value);
  }
  void add_text(int field, std::string_view value) { add_bytes(field, std::as_bytes(std::span(value))); }

  std::span<const std::byte> bytes() const { return bytes_; }

 private:
  enum WireType : uint8_t { kVarint = 0, kFixed64 = 1, kLengthDelimited = 2, kFixed32 = 5 };

  void add_key(int field, WireType type) { add_varint(static_cast<uint64_t>(field) << 3 | type); }
  void add_varint(uint64_t value) {
    for (; value >= 0x80; value >>= 7) bytes_.push_back(static_cast<std::byte>(value | 0x80));
    bytes_.push_back(static_cast<std::byte>(value));
  }

  std::vector<std::byte> bytes_;
};

// Field numbers of Event, Summary and Summary.Value.
constexpr int kWallTime = 1, kStep = 2, kFileVersion = 3, kSummary = 5;
constexpr int kSummaryValue = 1;
constexpr int kTag = 1, kSimpleValue = 2;

Message version_event() {
  const std::chrono::duration<double> now = std::chrono::system_clock::now().time_since_epoch();
  Message event;
  event.add_double(kWallTime, now.count());
  event.add_text(kFileVersion, "brain.Event:2");
  return event;
}

}  // namespace

uint32_t crc32c(std::span<const std::byte> bytes) {
  uint32_t crc = ~uint32_t{0};
  for (const std::byte byte : bytes) crc = (crc >> 8) ^ kCrcOfByte[(crc ^ std::to_integer<uint32_t>(byte)) & 0xFF];
  return ~crc;
}

Result<EventFile> EventFile::open(const fs::path& path, uint64_t bytes) {
  std::error_code not_there;
  const uint64_t size = fs::file_size(path, not_there);
  const uint64_t kept = not_there || size < bytes ? 0 : bytes;
  PHIAL_TRY(OutputFile file, not_there ? OutputFile::create(path) : OutputFile::append(path, kept));
  EventFile out(std::move(file), kept);
  if (kept == 0) PHIAL_CHECKED(out.append_record(version_event().bytes()));
  return out;
}

Status EventFile::append(int64_t step, double wall_time_seconds,
                         std::span<const std::pair<std::string, double>> values) {
  Message summary;
  for (const auto& [name, value] : values) {
    Message scalar;
    scalar.add_text(kTag, name);
    scalar.add_float(kSimpleValue, static_cast<float>(value));
    summary.add_bytes(kSummaryValue, scalar.bytes());
  }
  Message event;
  event.add_double(kWallTime, wall_time_seconds);
  event.add_int64(kStep, step);
  event.add_bytes(kSummary, summary.bytes());
  return append_record(event.bytes());
}

Status EventFile::append_record(std::span<const std::byte> event) {
  const uint64_t length = event.size();
  std::vector<std::byte> record;
  append_bytes(record, length);
  append_bytes(record, masked_crc32c(record));
  append_bytes(record, event);
  append_bytes(record, masked_crc32c(event));
  PHIAL_CHECKED(file_.write(record));
  bytes_ += record.size();
  return ok();
}

}  // namespace phial::train
