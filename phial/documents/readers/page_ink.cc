#include "phial/documents/readers/page_ink.h"

#include <algorithm>
#include <cmath>
#include <string_view>

namespace phial::documents {
namespace {

constexpr int kFaintest = 12;  // of 255: the palest grey that thin letters may have and still be read

// Part of a picture, in pixels; right and bottom are behind the last.
struct Box {
  int left = 0, top = 0, right = 0, bottom = 0;
};

bool has_ink(const Pixels& page, const Box& box) {
  constexpr int kChannels = 3;
  for (int channel = 0; channel < kChannels; ++channel) {
    int darkest = 255, lightest = 0;
    for (int y = box.top; y < box.bottom; ++y) {
      const uint8_t* row = page.data + static_cast<ptrdiff_t>(y) * page.bytes_per_row;
      for (int x = box.left; x < box.right; ++x) {
        const int value = row[static_cast<ptrdiff_t>(x) * page.bytes_per_pixel + channel];
        darkest = std::min(darkest, value);
        lightest = std::max(lightest, value);
      }
    }
    if (lightest - darkest >= kFaintest) return true;
  }
  return false;
}

// The middle of the word's box: its edges reach into the ink of neighbours and of the lines above and below.
Box middle_of(const PageWord& word, float scale, const Pixels& page) {
  constexpr float kEdge = 0.12F;
  const float across = (word.right - word.left) * kEdge, down = (word.bottom - word.top) * kEdge;
  Box box;
  box.left = std::clamp(static_cast<int>(std::floor((word.left + across) * scale)), 0, page.width);
  box.top = std::clamp(static_cast<int>(std::floor((word.top + down) * scale)), 0, page.height);
  box.right = std::clamp(static_cast<int>(std::ceil((word.right - across) * scale)), 0, page.width);
  box.bottom = std::clamp(static_cast<int>(std::ceil((word.bottom - down) * scale)), 0, page.height);
  return box;
}

bool has_ink(const Pixels& page, float scale, const PageWord& word) {
  const Box box = middle_of(word, scale, page);
  return box.left >= box.right || box.top >= box.bottom || has_ink(page, box);
}

size_t characters(std::string_view text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

}  // namespace

std::vector<bool> words_without_ink(const Pixels& page, float pixels_per_point, std::span<const PageWord> words) {
  constexpr size_t kFewestCharacters = 4;
  std::vector<bool> unseen(words.size());
  for (size_t first = 0; first < words.size(); ++first) {
    size_t length = 0, last = first;
    for (; last < words.size() && !has_ink(page, pixels_per_point, words[last]); ++last) {
      length += characters(words[last].text);
    }
    if (length >= kFewestCharacters) {
      std::fill(unseen.begin() + static_cast<ptrdiff_t>(first), unseen.begin() + static_cast<ptrdiff_t>(last), true);
    }
    first = last;
  }
  return unseen;
}

bool is_blank(const Pixels& page) { return !has_ink(page, {0, 0, page.width, page.height}); }

}  // namespace phial::documents
