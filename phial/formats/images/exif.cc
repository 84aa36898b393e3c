// Source: EXIF 2.3, section 4.6: an EXIF block is a TIFF file; tag 0x0112 of its first directory is the orientation.

#include <cstring>
#include <string_view>
#include <utility>

#include "phial/base/bytes.h"
#include "phial/formats/images/codecs.h"

namespace phial::formats::images {
namespace {

constexpr uint16_t kOrientationTag = 0x0112;
constexpr uint16_t kShort = 3;

// Reads the numbers of a TIFF file in its own byte order.
class TiffReader {
 public:
  TiffReader(std::span<const std::byte> bytes, bool is_big_endian) : reader_(bytes), is_big_endian_(is_big_endian) {}

  Status skip(uint64_t count) {
    PHIAL_TRY(const auto skipped, reader_.take(count));
    return skipped.size() == count ? ok() : Status(Error{});
  }
  Result<uint16_t> u16() {
    PHIAL_TRY(const uint16_t value, reader_.u16());
    return is_big_endian_ ? __builtin_bswap16(value) : value;
  }
  Result<uint32_t> u32() {
    PHIAL_TRY(const uint32_t value, reader_.u32());
    return is_big_endian_ ? __builtin_bswap32(value) : value;
  }

 private:
  Reader reader_;
  bool is_big_endian_;
};

Result<int> find_orientation(std::span<const std::byte> tiff, bool is_big_endian) {
  TiffReader header(tiff, is_big_endian);
  PHIAL_CHECKED(header.skip(4));
  PHIAL_TRY(const uint32_t directory, header.u32());
  TiffReader entries(tiff, is_big_endian);
  PHIAL_CHECKED(entries.skip(directory));
  PHIAL_TRY(const uint16_t count, entries.u16());
  for (uint16_t i = 0; i < count; ++i) {
    PHIAL_TRY(const uint16_t tag, entries.u16());
    PHIAL_TRY(const uint16_t type, entries.u16());
    PHIAL_TRY(const uint32_t values, entries.u32());
    PHIAL_TRY(const uint16_t value, entries.u16());
    PHIAL_CHECKED(entries.skip(2));
    if (tag == kOrientationTag && type == kShort && values == 1) return int{value};
  }
  return 1;
}

// Where pixel (x, y) of the upright picture stands in the stored one.
std::pair<int, int> stored_place(int orientation, int x, int y, int width, int height) {
  switch (orientation) {
    case 2:
      return {width - 1 - x, y};
    case 3:
      return {width - 1 - x, height - 1 - y};
    case 4:
      return {x, height - 1 - y};
    case 5:
      return {y, x};
    case 6:
      return {y, height - 1 - x};
    case 7:
      return {width - 1 - y, height - 1 - x};
    case 8:
      return {width - 1 - y, x};
    default:
      return {x, y};
  }
}

}  // namespace

int exif_orientation(std::span<const std::byte> block) {
  std::string_view text(reinterpret_cast<const char*>(block.data()), block.size());
  if (text.starts_with(std::string_view("Exif\0\0", 6))) {
    text.remove_prefix(6);
    block = block.subspan(6);
  }
  const bool is_big_endian = text.starts_with("MM");
  if (!is_big_endian && !text.starts_with("II")) return 1;
  const auto found = find_orientation(block, is_big_endian);
  return found && *found >= 1 && *found <= 8 ? *found : 1;
}

Image upright(Image image, int orientation) {
  if (orientation <= 1 || orientation > 8) return image;
  const bool is_turned = orientation >= 5;
  Image out{.width = is_turned ? image.height : image.width,
            .height = is_turned ? image.width : image.height,
            .rgb = std::vector<uint8_t>(image.rgb.size())};
  uint8_t* to = out.rgb.data();
  for (int y = 0; y < out.height; ++y) {
    for (int x = 0; x < out.width; ++x, to += 3) {
      const auto [from_x, from_y] = stored_place(orientation, x, y, image.width, image.height);
      const size_t from = static_cast<size_t>(from_y) * static_cast<size_t>(image.width) + static_cast<size_t>(from_x);
      std::memcpy(to, image.rgb.data() + 3 * from, 3);
    }
  }
  return out;
}

}  // namespace phial::formats::images
