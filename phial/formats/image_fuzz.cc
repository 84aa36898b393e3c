#include "phial/formats/image.h"

#include "phial/base/check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto image = phial::formats::decode_image(std::as_bytes(std::span(data, size)));
  if (!image) {
    PHIAL_CHECK(image.error().text().find('\n') == std::string::npos);
    return 0;
  }
  PHIAL_CHECK(image->width > 0 && image->height > 0);
  const auto pixels = static_cast<uint64_t>(image->width) * static_cast<uint64_t>(image->height);
  PHIAL_CHECK(pixels <= phial::formats::kMaxImagePixels && image->rgb.size() == 3 * pixels);
  return 0;
}
