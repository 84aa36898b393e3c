// libjpeg reports errors through a function that must not return: it jumps. Between setjmp and the return no object
// with a destructor begins its life.

#include <csetjmp>
#include <cstdio>  // jpeglib.h wants it before itself
#include <cstring>

#include <jpeglib.h>

#include "phial/formats/images/codecs.h"

namespace phial::formats::images {
namespace {

// A progressive file may go over the picture again and again; each time costs all its pixels.
constexpr uint64_t kMaxScanPixels = uint64_t{1} << 30;
constexpr int kMaxScans = 500;

struct JpegErrors {
  jpeg_error_mgr base;
  std::jmp_buf place;
  char said[JMSG_LENGTH_MAX];
};

[[noreturn]] void leave(j_common_ptr jpeg, const char* what) {
  auto* errors = reinterpret_cast<JpegErrors*>(jpeg->err);
  if (what != nullptr) {
    std::snprintf(errors->said, sizeof errors->said, "%s", what);
  } else {
    jpeg->err->format_message(jpeg, errors->said);
  }
  std::longjmp(errors->place, 1);
}

[[noreturn]] void fail(j_common_ptr jpeg) { leave(jpeg, nullptr); }
void ignore(j_common_ptr) {}
void ignore_level(j_common_ptr, int) {}

void nothing(j_decompress_ptr) {}
boolean ends_early(j_decompress_ptr jpeg) { leave(reinterpret_cast<j_common_ptr>(jpeg), "the file ends early"); }
void skip(j_decompress_ptr jpeg, long count) {  // NOLINT(google-runtime-int): the library's type
  if (count <= 0) return;
  if (static_cast<size_t>(count) > jpeg->src->bytes_in_buffer) ends_early(jpeg);
  jpeg->src->next_input_byte += count;
  jpeg->src->bytes_in_buffer -= static_cast<size_t>(count);
}

void count_scans(j_common_ptr common) {
  const auto* jpeg = reinterpret_cast<j_decompress_ptr>(common);
  const uint64_t pixels = uint64_t{jpeg->image_width} * jpeg->image_height;
  const auto scans = static_cast<uint64_t>(jpeg->input_scan_number);
  if (scans > kMaxScans || (scans > 1 && pixels * scans > kMaxScanPixels)) leave(common, "it has too many scans");
}

class JpegReader {
 public:
  explicit JpegReader(std::span<const std::byte> bytes) {
    jpeg_.err = jpeg_std_error(&errors_.base);
    errors_.base.error_exit = fail;
    errors_.base.output_message = ignore;
    errors_.base.emit_message = ignore_level;
    source_.next_input_byte = reinterpret_cast<const JOCTET*>(bytes.data());
    source_.bytes_in_buffer = bytes.size();
    source_.init_source = nothing;
    source_.fill_input_buffer = ends_early;
    source_.skip_input_data = skip;
    source_.resync_to_restart = jpeg_resync_to_restart;
    source_.term_source = nothing;
    progress_.progress_monitor = count_scans;
  }
  ~JpegReader() { jpeg_destroy_decompress(&jpeg_); }
  JpegReader(const JpegReader&) = delete;
  JpegReader& operator=(const JpegReader&) = delete;

  Result<Decoded> run() {
    if (!start()) return damaged("JPEG", errors_.said);
    Decoded out;
    PHIAL_TRY(out.image, make_image(jpeg_.image_width, jpeg_.image_height));
    if (!begin_pixels()) return damaged("JPEG", errors_.said);
    const size_t width = jpeg_.output_width;
    line_.resize(width * static_cast<size_t>(jpeg_.output_components));
    if (jpeg_.output_components != 3 && jpeg_.output_components != 4) return damaged("JPEG", "its colours are unknown");
    for (size_t y = 0; y < jpeg_.output_height; ++y) {
      uint8_t* to = out.image.rgb.data() + y * width * 3;
      if (!read_line(is_cmyk() ? line_.data() : to)) return damaged("JPEG", errors_.said);
      if (is_cmyk()) convert_line(to, width);
    }
    out.orientation = orientation();
    return out;
  }

 private:
  bool is_cmyk() const { return jpeg_.output_components == 4; }

  bool start() {
    if (setjmp(errors_.place) != 0) return false;
    jpeg_create_decompress(&jpeg_);
    jpeg_.src = &source_;
    jpeg_.progress = &progress_;
    jpeg_save_markers(&jpeg_, JPEG_APP0 + 1, 0xffff);
    jpeg_read_header(&jpeg_, TRUE);
    return true;
  }

  bool begin_pixels() {
    if (setjmp(errors_.place) != 0) return false;
    const bool is_four = jpeg_.jpeg_color_space == JCS_CMYK || jpeg_.jpeg_color_space == JCS_YCCK;
    jpeg_.out_color_space = is_four ? JCS_CMYK : JCS_RGB;
    jpeg_start_decompress(&jpeg_);
    return true;
  }

  bool read_line(uint8_t* to) {
    if (setjmp(errors_.place) != 0) return false;
    JSAMPROW row = to;
    return jpeg_read_scanlines(&jpeg_, &row, 1) == 1;
  }

  // Inks to light, with what Adobe's files hold turned around: there 255 is no ink.
  void convert_line(uint8_t* to, size_t width) const {
    for (size_t x = 0; x < width; ++x) {
      const uint8_t* ink = line_.data() + 4 * x;
      const auto amount = [&](int i) { return jpeg_.saw_Adobe_marker != 0 ? 255 - ink[i] : int{ink[i]}; };
      const int light = 255 - amount(3);
      for (int i = 0; i < 3; ++i) {
        const int product = amount(i) * light + 128;
        to[3 * x + static_cast<size_t>(i)] = static_cast<uint8_t>(light - ((product >> 8) + product) / 256);
      }
    }
  }

  int orientation() const {
    for (const jpeg_marker_struct* marker = jpeg_.marker_list; marker != nullptr; marker = marker->next) {
      const auto block = std::as_bytes(std::span(marker->data, marker->data_length));
      if (block.size() >= 6 && std::memcmp(block.data(), "Exif\0\0", 6) == 0) return exif_orientation(block);
    }
    return 1;
  }

  JpegErrors errors_{};
  jpeg_source_mgr source_{};
  jpeg_progress_mgr progress_{};
  jpeg_decompress_struct jpeg_{};
  std::vector<uint8_t> line_;
};

}  // namespace

Result<Decoded> decode_jpeg(std::span<const std::byte> bytes) { return JpegReader(bytes).run(); }

}  // namespace phial::formats::images
