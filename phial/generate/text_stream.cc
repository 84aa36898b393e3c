#include "phial/generate/text_stream.h"

#include <algorithm>

#include "phial/base/utf8.h"

namespace phial::generate {
namespace {

// The length of the longest end of `text` that begins `stop`.
size_t overlap(std::string_view text, std::string_view stop) {
  for (size_t n = std::min(text.size(), stop.size() - 1); n > 0; --n) {
    if (text.ends_with(stop.substr(0, n))) return n;
  }
  return 0;
}

}  // namespace

TextStream::TextStream(std::vector<std::string> stop) : stop_(std::move(stop)) {
  std::erase_if(stop_, [](const std::string& s) { return s.empty(); });
}

std::string TextStream::release(size_t length) {
  std::string shown = repair_utf8(std::string_view(held_).substr(0, length));
  held_.erase(0, length);
  text_ += shown;
  return shown;
}

std::string TextStream::push(std::string_view bytes) {
  if (stopped_) return {};
  held_ += bytes;
  size_t first_stop = std::string::npos;
  for (const std::string& stop : stop_) first_stop = std::min(first_stop, held_.find(stop));
  if (first_stop != std::string::npos) {
    stopped_ = true;
    held_.resize(first_stop);
    return release(held_.size());
  }
  size_t back = 0;
  for (const std::string& stop : stop_) back = std::max(back, overlap(held_, stop));
  return release(whole_utf8_prefix(std::string_view(held_).substr(0, held_.size() - back)));
}

std::string TextStream::finish() { return release(held_.size()); }

}  // namespace phial::generate
