#include <memory>
#include <utility>

#include "phial/capi/boundary.h"
#include "phial/capi/handles.h"
#include "phial/formats/image.h"

namespace phial::capi {
namespace {

Status hand_out(Result<formats::Image> read, phial_image** image) {
  PHIAL_TRY(formats::Image pixels, std::move(read));
  *image = new phial_image{std::make_shared<const formats::Image>(std::move(pixels))};
  return ok();
}

}  // namespace
}  // namespace phial::capi

using namespace phial::capi;  // NOLINT(google-build-using-namespace): this file defines C functions

phial_code phial_image_open(const char* path, phial_image** image, phial_error* error) {
  return guarded(error, [&]() -> phial::Status {
    PHIAL_CHECKED(check_given(image, "the place for the image"));
    PHIAL_TRY(const std::string file, read_text(path, "the image's path"));
    return hand_out(phial::formats::read_image(file), image);
  });
}

phial_code phial_image_from_bytes(const void* bytes, size_t count, phial_image** image, phial_error* error) {
  return guarded(error, [&]() -> phial::Status {
    PHIAL_CHECKED(check_given(image, "the place for the image"));
    PHIAL_CHECKED(check_given(bytes, "the image's bytes"));
    return hand_out(phial::formats::decode_image({static_cast<const std::byte*>(bytes), count}), image);
  });
}

void phial_image_free(phial_image* image) { delete image; }
