#include <png.h>

#include <cstddef>
#include <span>
#include <vector>

#include "phial/base/check.h"
#include "phial/base/output_file.h"
#include "phial/formats/image_writer.h"

namespace phial::formats {

Status write_png(const std::filesystem::path& path, const Image& image) {
  PHIAL_CHECK(image.rgb.size() == static_cast<size_t>(image.width) * static_cast<size_t>(image.height) * 3);
  png_image header = {};
  header.version = PNG_IMAGE_VERSION;
  header.width = static_cast<png_uint_32>(image.width);
  header.height = static_cast<png_uint_32>(image.height);
  header.format = PNG_FORMAT_RGB;
  png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(header);
  std::vector<std::byte> bytes(size);
  if (png_image_write_to_memory(&header, bytes.data(), &size, 0, image.rgb.data(), 0, nullptr) == 0) {
    return Error{Code::kIo, path.string() + ": cannot be made a PNG: " + header.message, ""};
  }
  PHIAL_TRY(OutputFile file, OutputFile::create(path));
  PHIAL_CHECKED(file.write(std::span(bytes).first(size)));
  return file.finish();
}

}  // namespace phial::formats
