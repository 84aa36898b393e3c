// Pixels from one process to another: Netpbm's binary PPM (ppm(5)), in the one spelling that we write: "P6\n", width,
// ' ', height, "\n255\n", then rows of RGB. Errors: kCorrupt for any other spelling, and for a file of another length;
// kOutOfRange beyond kMaxImagePixels. Threads: any.
#pragma once

#include <string>
#include <string_view>

#include "phial/base/result.h"
#include "phial/formats/image.h"

namespace phial::formats {

// Promise: `image` has pixels.
std::string ppm_of(const Image& image);
Result<Image> image_from_ppm(std::string_view bytes);

}  // namespace phial::formats
