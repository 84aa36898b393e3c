#include "phial/formats/image.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "phial/base/mapped_file.h"
#include "phial/formats/images/codecs.h"

namespace phial::formats {
namespace images {

Result<Image> make_image(uint64_t width, uint64_t height) {
  if (width == 0 || height == 0) return damaged("picture", "it has no pixels");
  if (width > kMaxImagePixels || height > kMaxImagePixels / width) {
    return Error{Code::kOutOfRange,
                 "a picture of " + std::to_string(width) + " x " + std::to_string(height) + " pixels, at most " +
                     std::to_string(kMaxImagePixels) + " are read",
                 "make it smaller; the model sees no more than a few megapixels"};
  }
  return Image{.width = static_cast<int>(width),
               .height = static_cast<int>(height),
               .rgb = std::vector<uint8_t>(width * height * 3)};
}

Error damaged(const char* format, const std::string& what) {
  std::string line = what;
  std::ranges::replace_if(line, [](char c) { return static_cast<unsigned char>(c) < ' '; }, ' ');
  return Error{Code::kCorrupt, "this " + std::string(format) + " is damaged: " + line,
               "use another copy of the picture"};
}

}  // namespace images

namespace {

std::string_view start_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), std::min<size_t>(bytes.size(), 16)};
}

Result<images::Decoded> decode(std::span<const std::byte> bytes) {
  const std::string_view start = start_of(bytes);
  if (start.starts_with("\x89PNG\r\n\x1a\n")) return images::decode_png(bytes);
  if (start.starts_with("\xff\xd8\xff")) return images::decode_jpeg(bytes);
  if (start.starts_with("RIFF") && start.substr(std::min<size_t>(8, start.size())).starts_with("WEBP")) {
    return images::decode_webp(bytes);
  }
  if (start.starts_with("GIF87a") || start.starts_with("GIF89a")) return images::decode_gif(bytes);
  return Error{Code::kUnsupported, "this is no picture that Phial reads", "give a PNG, JPEG, WebP or GIF file"};
}

}  // namespace

Result<Image> decode_image(std::span<const std::byte> bytes) {
  if (bytes.size() > kMaxImageBytes) {
    return Error{
        Code::kOutOfRange,
        "a picture's file of " + std::to_string(bytes.size()) + " bytes, at most " + std::to_string(kMaxImageBytes),
        "make the picture smaller"};
  }
  PHIAL_TRY(images::Decoded decoded, decode(bytes));
  return images::upright(std::move(decoded.image), decoded.orientation);
}

Result<Image> read_image(const std::filesystem::path& path) {
  PHIAL_TRY(const MappedFile file, MappedFile::open(path, LoadMode::kMap));
  auto image = decode_image(file.bytes());
  if (!image) return std::move(image).error().in(path.string());
  return image;
}

}  // namespace phial::formats
