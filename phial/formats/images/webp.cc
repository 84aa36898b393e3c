#include <webp/decode.h>
#include <webp/demux.h>

#include <memory>

#include "phial/formats/images/codecs.h"

namespace phial::formats::images {
namespace {

struct Demuxer {
  explicit Demuxer(const WebPData& data) : handle(WebPDemux(&data)) {}
  ~Demuxer() { WebPDemuxDelete(handle); }
  Demuxer(const Demuxer&) = delete;
  Demuxer& operator=(const Demuxer&) = delete;
  WebPDemuxer* handle;
};

int orientation_of(const WebPDemuxer* file) {
  WebPChunkIterator chunk;
  int orientation = 1;
  if (WebPDemuxGetChunk(file, "EXIF", 1, &chunk) != 0) {
    orientation = exif_orientation(std::as_bytes(std::span(chunk.chunk.bytes, chunk.chunk.size)));
  }
  WebPDemuxReleaseChunkIterator(&chunk);
  return orientation;
}

// The first frame, in its place on the canvas.
Status decode_frame(const WebPIterator& frame, Image& canvas) {
  const int right = frame.x_offset + frame.width, bottom = frame.y_offset + frame.height;
  if (frame.x_offset < 0 || frame.y_offset < 0 || right > canvas.width || bottom > canvas.height) {
    return damaged("WebP", "its first frame stands beside the picture");
  }
  const auto row = static_cast<size_t>(canvas.width) * 3;
  const size_t start = static_cast<size_t>(frame.y_offset) * row + static_cast<size_t>(frame.x_offset) * 3;
  const uint8_t* done = WebPDecodeRGBInto(frame.fragment.bytes, frame.fragment.size, canvas.rgb.data() + start,
                                          canvas.rgb.size() - start, static_cast<int>(row));
  return done != nullptr ? ok() : damaged("WebP", "its first picture cannot be decoded");
}

}  // namespace

Result<Decoded> decode_webp(std::span<const std::byte> bytes) {
  const WebPData data = {reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()};
  const Demuxer file(data);
  if (file.handle == nullptr) return damaged("WebP", "it is not whole");
  Decoded out;
  PHIAL_TRY(out.image, make_image(WebPDemuxGetI(file.handle, WEBP_FF_CANVAS_WIDTH),
                                  WebPDemuxGetI(file.handle, WEBP_FF_CANVAS_HEIGHT)));
  WebPIterator frame;
  Status decoded = WebPDemuxGetFrame(file.handle, 1, &frame) != 0 ? decode_frame(frame, out.image)
                                                                  : damaged("WebP", "it holds no picture");
  WebPDemuxReleaseIterator(&frame);
  PHIAL_CHECKED(std::move(decoded));
  out.orientation = orientation_of(file.handle);
  return out;
}

}  // namespace phial::formats::images
