// libpng reports errors by longjmp: between setjmp and the return no object with a destructor begins its life.

#include <png.h>

#include <algorithm>
#include <csetjmp>
#include <cstring>

#include "phial/formats/images/codecs.h"

namespace phial::formats::images {
namespace {

constexpr png_uint_32 kMaxSide = 1 << 20;
constexpr png_alloc_size_t kMaxChunkBytes = 8 << 20;  // of what is not the picture: text, profiles
constexpr png_uint_32 kMaxChunks = 1000;

struct PngRun {
  std::span<const std::byte> bytes;
  std::string said;
};

void fail(png_structp png, png_const_charp message) {
  static_cast<PngRun*>(png_get_error_ptr(png))->said = message;
  png_longjmp(png, 1);
}

void ignore(png_structp, png_const_charp) {}

void read(png_structp png, png_bytep to, size_t count) {
  auto& left = static_cast<PngRun*>(png_get_io_ptr(png))->bytes;
  if (left.size() < count) png_error(png, "the file ends early");
  std::memcpy(to, left.data(), count);
  left = left.subspan(count);
}

class PngReader {
 public:
  explicit PngReader(std::span<const std::byte> bytes) : run_{bytes, {}} {
    png_ = png_create_read_struct(PNG_LIBPNG_VER_STRING, &run_, fail, ignore);
    if (png_ == nullptr) return;
    info_ = png_create_info_struct(png_);
    png_set_read_fn(png_, &run_, read);
    png_set_user_limits(png_, kMaxSide, kMaxSide);
    png_set_chunk_malloc_max(png_, kMaxChunkBytes);
    png_set_chunk_cache_max(png_, kMaxChunks);
  }
  ~PngReader() { png_destroy_read_struct(&png_, &info_, nullptr); }
  PngReader(const PngReader&) = delete;
  PngReader& operator=(const PngReader&) = delete;

  Result<Decoded> run() {
    if (info_ == nullptr || !start()) return damaged("PNG", run_.said);
    Decoded out;
    PHIAL_TRY(out.image, make_image(png_get_image_width(png_, info_), png_get_image_height(png_, info_)));
    rows_.resize(static_cast<size_t>(out.image.height));
    const size_t row_bytes = static_cast<size_t>(out.image.width) * 3;
    for (size_t y = 0; y < rows_.size(); ++y) rows_[y] = out.image.rgb.data() + y * row_bytes;
    if (!finish(row_bytes)) return damaged("PNG", run_.said);
    out.orientation = orientation();
    return out;
  }

 private:
  bool start() {
    if (setjmp(png_jmpbuf(png_)) != 0) return false;
    png_read_info(png_, info_);
    return true;
  }

  bool finish(size_t row_bytes) {
    if (setjmp(png_jmpbuf(png_)) != 0) return false;
    png_set_expand(png_);  // palettes, fewer than 8 bits, transparent colours
    png_set_strip_16(png_);
    png_set_gray_to_rgb(png_);
    png_set_strip_alpha(png_);
    png_set_interlace_handling(png_);
    png_read_update_info(png_, info_);
    if (png_get_rowbytes(png_, info_) != row_bytes) png_error(png_, "its pixels are of no known kind");
    png_read_image(png_, rows_.data());
    png_read_end(png_, info_);  // the orientation may stand behind the pixels
    return true;
  }

  int orientation() const {
    png_uint_32 size = 0;
    png_bytep block = nullptr;
    if (png_get_eXIf_1(png_, info_, &size, &block) == 0 || block == nullptr) return 1;
    return exif_orientation(std::as_bytes(std::span(block, size)));
  }

  PngRun run_;
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
  std::vector<png_bytep> rows_;
};

}  // namespace

Result<Decoded> decode_png(std::span<const std::byte> bytes) { return PngReader(bytes).run(); }

}  // namespace phial::formats::images
