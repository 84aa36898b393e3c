// RGB pixels -> PNG files, 8 bits a channel. What is written gives image.h's readers the same pixels; how small zlib
// makes it is zlib's. Threads: any; nothing is shared.
#pragma once

#include <filesystem>

#include "phial/base/result.h"
#include "phial/formats/image.h"

namespace phial::formats {

// Promise: `image` has pixels, three bytes each. Errors: kInvalid if a file is there, kNotFound, kIo
// after which what was begun may stand at `path`: whoever writes removes it.
Status write_png(const std::filesystem::path& path, const Image& image);

}  // namespace phial::formats
