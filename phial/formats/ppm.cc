#include "phial/formats/ppm.h"

#include <charconv>

#include "phial/base/check.h"

namespace phial::formats {
namespace {

Error bad_ppm() { return {Code::kCorrupt, "this is no picture as Phial hands it on", "the document cannot be drawn"}; }

// The digits of a side and the character behind them, taken off `left`. 0: something else stands there.
int take_side(std::string_view& left, char behind) {
  int side = 0;
  const auto [end, error] = std::from_chars(left.data(), left.data() + left.size(), side);
  const auto length = static_cast<size_t>(end - left.data());
  if (error != std::errc() || side <= 0 || left.front() == '0' || length == left.size() || *end != behind) return 0;
  left.remove_prefix(length + 1);
  return side;
}

}  // namespace

std::string ppm_of(const Image& image) {
  PHIAL_CHECK(image.width > 0 && image.height > 0);
  PHIAL_CHECK(image.rgb.size() == size_t{3} * static_cast<size_t>(image.width) * static_cast<size_t>(image.height));
  std::string bytes = "P6\n" + std::to_string(image.width) + " " + std::to_string(image.height) + "\n255\n";
  bytes.append(reinterpret_cast<const char*>(image.rgb.data()), image.rgb.size());
  return bytes;
}

Result<Image> image_from_ppm(std::string_view bytes) {
  constexpr std::string_view kStart = "P6\n", kDepth = "255\n";
  if (!bytes.starts_with(kStart)) return bad_ppm();
  bytes.remove_prefix(kStart.size());
  Image image;
  image.width = take_side(bytes, ' ');
  image.height = image.width > 0 ? take_side(bytes, '\n') : 0;
  if (image.height == 0 || !bytes.starts_with(kDepth)) return bad_ppm();
  bytes.remove_prefix(kDepth.size());
  const uint64_t pixels = static_cast<uint64_t>(image.width) * static_cast<uint64_t>(image.height);
  if (pixels > kMaxImagePixels) {
    return Error{Code::kOutOfRange,
                 "a picture of " + std::to_string(image.width) + " x " + std::to_string(image.height) + " pixels", ""};
  }
  if (bytes.size() != 3 * pixels) return bad_ppm();
  image.rgb.assign(bytes.begin(), bytes.end());
  return image;
}

}  // namespace phial::formats
