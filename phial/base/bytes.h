// Reads little-endian values from bytes that nobody vouches for.
//
// Every read checks what is left first; a read past the end is Code::kCorrupt and names the position.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

#include "phial/base/result.h"

namespace phial {

static_assert(std::endian::native == std::endian::little, "Phial reads its files in place on little-endian machines");

// a * b, or nothing if it does not fit.
inline bool multiply_fits(uint64_t a, uint64_t b, uint64_t* product) { return !__builtin_mul_overflow(a, b, product); }
inline bool add_fits(uint64_t a, uint64_t b, uint64_t* sum) { return !__builtin_add_overflow(a, b, sum); }

class Reader {
 public:
  explicit Reader(std::span<const std::byte> bytes) : bytes_(bytes) {}

  size_t position() const { return position_; }
  size_t left() const { return bytes_.size() - position_; }

  template <class T>
    requires std::is_trivially_copyable_v<T>
  Result<T> read() {
    if (left() < sizeof(T)) return ends_early(sizeof(T));
    T value;
    std::memcpy(&value, bytes_.data() + position_, sizeof(T));
    position_ += sizeof(T);
    return value;
  }
  Result<uint8_t> u8() { return read<uint8_t>(); }
  Result<uint16_t> u16() { return read<uint16_t>(); }
  Result<uint32_t> u32() { return read<uint32_t>(); }
  Result<uint64_t> u64() { return read<uint64_t>(); }
  Result<float> f32() { return read<float>(); }

  // The next `count` bytes, still inside the original memory.
  Result<std::span<const std::byte>> take(uint64_t count) {
    if (left() < count) return ends_early(count);
    const auto taken = bytes_.subspan(position_, static_cast<size_t>(count));
    position_ += static_cast<size_t>(count);
    return taken;
  }
  Result<std::string_view> text(uint64_t count) {
    PHIAL_TRY(const auto taken, take(count));
    return std::string_view(reinterpret_cast<const char*>(taken.data()), taken.size());
  }

 private:
  Error ends_early(uint64_t wanted) const {
    return Error{Code::kCorrupt,
                 "at byte " + std::to_string(position_) + " " + std::to_string(wanted) + " bytes are promised, " +
                     std::to_string(left()) + " are left",
                 "the file is cut short or damaged: get it again"};
  }

  std::span<const std::byte> bytes_;
  size_t position_ = 0;
};

}  // namespace phial
