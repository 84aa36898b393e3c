#include "phial/formats/image.h"

#include "phial/base/check.h"
#include "phial/formats/ppm.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto handed_on = phial::formats::image_from_ppm(text))
    PHIAL_CHECK(phial::formats::ppm_of(*handed_on) == text);
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
