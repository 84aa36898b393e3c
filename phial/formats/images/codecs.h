// The decoders behind image.h, one a format, each over a library of its own. Used inside formats only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "phial/base/result.h"
#include "phial/formats/image.h"

namespace phial::formats::images {

// As the file holds it, with what its EXIF block says of how it is to stand.
struct Decoded {
  Image image;
  int orientation = 1;  // 1 to 8, as EXIF counts
};

Result<Decoded> decode_png(std::span<const std::byte> bytes);
Result<Decoded> decode_jpeg(std::span<const std::byte> bytes);
Result<Decoded> decode_webp(std::span<const std::byte> bytes);
Result<Decoded> decode_gif(std::span<const std::byte> bytes);

// Black, or kOutOfRange beyond kMaxImagePixels, kCorrupt for one without pixels.
Result<Image> make_image(uint64_t width, uint64_t height);
// kCorrupt: what a library says of the bytes, on one line.
Error damaged(const char* format, const std::string& what);

// The orientation in an EXIF block, with or without "Exif\0\0" before it; 1 if it says none that makes sense.
int exif_orientation(std::span<const std::byte> block);
// The picture as it is to stand.
Image upright(Image image, int orientation);

}  // namespace phial::formats::images
