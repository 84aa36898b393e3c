// Names and numbers of the GGUF file format, for what reads and what writes it.
//
// Source: docs/gguf.md of ggml, version 3. Threads: constants only.
#pragma once

#include <cstdint>
#include <string_view>

namespace phial::formats {

inline constexpr std::string_view kGgufMagic = "GGUF";

// What stands before every metadata value.
enum class GgufType : uint32_t {
  kU8 = 0,
  kI8 = 1,
  kU16 = 2,
  kI16 = 3,
  kU32 = 4,
  kI32 = 5,
  kF32 = 6,
  kBool = 7,
  kString = 8,
  kArray = 9,
  kU64 = 10,
  kI64 = 11,
  kF64 = 12,
};

}  // namespace phial::formats
