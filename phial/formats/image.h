// Pictures as people have them -> RGB pixels: PNG, JPEG, WebP and GIF (of moving ones the first picture), told by their
// content and never by their name.
//
// The pixels are those that Pillow's convert("RGB") gives, for these the models were trained on: transparency is
// dropped, deeper channels keep their upper byte, colour profiles are ignored. A picture stands as its EXIF orientation
// says. Errors: kUnsupported for what is none of the four; kCorrupt for damage, a file that ends early included;
// kOutOfRange beyond kMaxImagePixels or kMaxImageBytes, before anything of that size is allocated.
// Threads: any; nothing is shared.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include "phial/base/result.h"

namespace phial::formats {

inline constexpr uint64_t kMaxImagePixels = uint64_t{1} << 26;  // more than cameras of 60 megapixels take
inline constexpr uint64_t kMaxImageBytes = uint64_t{256} << 20;

struct Image {
  int width = 0, height = 0;
  std::vector<uint8_t> rgb = {};  // [height, width, 3]

  bool operator==(const Image&) const = default;
};

Result<Image> decode_image(std::span<const std::byte> bytes);
// Errors: also those of MappedFile::open; all name the file.
Result<Image> read_image(const std::filesystem::path& path);

}  // namespace phial::formats
