#include <gif_lib.h>

#include <algorithm>
#include <cstring>

#include "phial/formats/images/codecs.h"

namespace phial::formats::images {
namespace {

int read(GifFileType* gif, GifByteType* to, int count) {
  auto& left = *static_cast<std::span<const std::byte>*>(gif->UserData);
  const size_t taken = std::min(left.size(), static_cast<size_t>(std::max(count, 0)));
  if (taken > 0) std::memcpy(to, left.data(), taken);
  left = left.subspan(taken);
  return static_cast<int>(taken);
}

Error damaged_gif(int code) {
  const char* said = GifErrorString(code);
  return damaged("GIF", said != nullptr ? said : "it ends early");
}

class GifReader {
 public:
  explicit GifReader(std::span<const std::byte> bytes) : left_(bytes), gif_(DGifOpen(&left_, read, &error_)) {}
  ~GifReader() {
    if (gif_ != nullptr) DGifCloseFile(gif_, nullptr);
  }
  GifReader(const GifReader&) = delete;
  GifReader& operator=(const GifReader&) = delete;

  Result<Decoded> run() {
    if (gif_ == nullptr) return damaged_gif(error_);
    Decoded out;
    PHIAL_TRY(out.image, make_image(static_cast<uint64_t>(std::max(gif_->SWidth, 0)),
                                    static_cast<uint64_t>(std::max(gif_->SHeight, 0))));
    PHIAL_CHECKED(find_picture());
    const GifImageDesc& frame = gif_->Image;
    if (frame.Left < 0 || frame.Top < 0 || frame.Width <= 0 || frame.Height <= 0 ||
        frame.Left + frame.Width > out.image.width || frame.Top + frame.Height > out.image.height) {
      return damaged("GIF", "its first picture stands beside the screen");
    }
    paint_all(static_cast<uint8_t>(transparent_ >= 0 ? transparent_ : 0), out.image);
    PHIAL_CHECKED(read_rows(frame, out.image));
    return out;
  }

 private:
  // Up to the first picture; what goes before it may name a transparent colour.
  Status find_picture() {
    for (;;) {
      GifRecordType kind = UNDEFINED_RECORD_TYPE;
      if (DGifGetRecordType(gif_, &kind) == GIF_ERROR) return damaged_gif(gif_->Error);
      if (kind == TERMINATE_RECORD_TYPE) return damaged("GIF", "it holds no picture");
      if (kind == EXTENSION_RECORD_TYPE) PHIAL_CHECKED(read_extension());
      if (kind != IMAGE_DESC_RECORD_TYPE) continue;
      return DGifGetImageDesc(gif_) == GIF_ERROR ? Status(damaged_gif(gif_->Error)) : ok();
    }
  }

  Status read_extension() {
    int code = 0;
    GifByteType* block = nullptr;
    if (DGifGetExtension(gif_, &code, &block) == GIF_ERROR) return damaged_gif(gif_->Error);
    GraphicsControlBlock control{};
    if (code == GRAPHICS_EXT_FUNC_CODE && block != nullptr && DGifExtensionToGCB(block[0], block + 1, &control) != 0) {
      transparent_ = control.TransparentColor;
    }
    while (block != nullptr) {
      if (DGifGetExtensionNext(gif_, &block) == GIF_ERROR) return damaged_gif(gif_->Error);
    }
    return ok();
  }

  Status read_rows(const GifImageDesc& frame, Image& image) {
    struct Step {
      int first, every;
    };
    static constexpr Step kPlain[] = {{0, 1}};
    static constexpr Step kInterlaced[] = {{0, 8}, {4, 8}, {2, 4}, {1, 2}};
    std::vector<GifPixelType> line(static_cast<size_t>(frame.Width));
    for (const Step& step : frame.Interlace ? std::span<const Step>(kInterlaced) : std::span<const Step>(kPlain)) {
      for (int y = step.first; y < frame.Height; y += step.every) {
        if (DGifGetLine(gif_, line.data(), frame.Width) == GIF_ERROR) return damaged_gif(gif_->Error);
        const size_t row = static_cast<size_t>(frame.Top + y) * static_cast<size_t>(image.width);
        uint8_t* to = image.rgb.data() + 3 * (row + static_cast<size_t>(frame.Left));
        for (const GifPixelType index : line) {
          paint(index, to);
          to += 3;
        }
      }
    }
    return ok();
  }

  void paint_all(uint8_t index, Image& image) const {
    const size_t row = static_cast<size_t>(image.width) * 3;
    for (size_t i = 0; i < row; i += 3) paint(index, image.rgb.data() + i);
    for (size_t i = row; i < image.rgb.size(); i += row) std::memcpy(image.rgb.data() + i, image.rgb.data(), row);
  }

  // A file without a palette is grey; an index beyond the palette is black.
  void paint(uint8_t index, uint8_t* to) const {
    const ColorMapObject* map = gif_->Image.ColorMap != nullptr ? gif_->Image.ColorMap : gif_->SColorMap;
    GifColorType colour = {index, index, index};
    if (map != nullptr) colour = index < map->ColorCount ? map->Colors[index] : GifColorType{};
    to[0] = colour.Red;
    to[1] = colour.Green;
    to[2] = colour.Blue;
  }

  std::span<const std::byte> left_;
  int error_ = 0;
  GifFileType* gif_;
  int transparent_ = NO_TRANSPARENT_COLOR;
};

}  // namespace

Result<Decoded> decode_gif(std::span<const std::byte> bytes) { return GifReader(bytes).run(); }

}  // namespace phial::formats::images
