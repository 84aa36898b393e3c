#include "phial/formats/image_tiles.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <utility>

namespace phial::formats {
namespace {

size_t size(int n) { return static_cast<size_t>(n); }

// Pillow's fixed point: 8 bits of colour, 2 of headroom.
constexpr int kFractionBits = 32 - 8 - 2;

// Which inputs an output is made of, and how much of each.
struct Resampling {
  struct Output {
    int first = 0, count = 0;
  };
  std::vector<Output> outputs;
  std::vector<int32_t> weights;  // `width` an output
  size_t width = 0;
};

// A triangle over each output's place; as wide as a step where the picture shrinks.
Resampling triangle(int from, int to) {
  const double scale = static_cast<double>(from) / to, support = std::max(scale, 1.0);
  Resampling out;
  out.outputs.resize(size(to));
  out.width = size(static_cast<int>(std::ceil(support)) * 2 + 1);
  out.weights.resize(size(to) * out.width);
  std::vector<double> exact(out.width);
  for (int i = 0; i < to; ++i) {
    const double centre = (i + 0.5) * scale;
    const int first = std::max(static_cast<int>(std::floor(centre - support + 0.5)), 0);
    const int count = std::min(static_cast<int>(std::floor(centre + support + 0.5)), from) - first;
    double sum = 0;
    for (int k = 0; k < count; ++k) {
      const double distance = std::fabs((k + first - centre + 0.5) * (1.0 / support));
      exact[size(k)] = distance < 1.0 ? 1.0 - distance : 0.0;
      sum += exact[size(k)];
    }
    out.outputs[size(i)] = {first, count};
    for (int k = 0; k < count; ++k) {
      const double weight = sum != 0.0 ? exact[size(k)] / sum : exact[size(k)];
      out.weights[size(i) * out.width + size(k)] =
          static_cast<int32_t>(std::floor(0.5 + weight * (1 << kFractionBits)));
    }
  }
  return out;
}

uint8_t rounded(int32_t sum) { return static_cast<uint8_t>(std::clamp(sum >> kFractionBits, 0, 255)); }

Image resize_width(const Image& from, int width) {
  if (from.width == width) return from;
  const Resampling plan = triangle(from.width, width);
  Image to{.width = width, .height = from.height, .rgb = std::vector<uint8_t>(size(width) * size(from.height) * 3)};
  uint8_t* out = to.rgb.data();
  for (int y = 0; y < from.height; ++y) {
    const uint8_t* row = from.rgb.data() + size(y) * size(from.width) * 3;
    for (int x = 0; x < width; ++x, out += 3) {
      const auto [first, count] = plan.outputs[size(x)];
      const int32_t* weights = plan.weights.data() + size(x) * plan.width;
      std::array<int32_t, 3> sums;
      sums.fill(1 << (kFractionBits - 1));
      const uint8_t* in = row + size(first) * 3;
      for (int k = 0; k < count; ++k, in += 3) {
        for (size_t c = 0; c < 3; ++c) sums[c] += in[c] * weights[k];
      }
      for (size_t c = 0; c < 3; ++c) out[c] = rounded(sums[c]);
    }
  }
  return to;
}

Image resize_height(const Image& from, int height) {
  if (from.height == height) return from;
  const Resampling plan = triangle(from.height, height);
  const size_t row = size(from.width) * 3;
  Image to{.width = from.width, .height = height, .rgb = std::vector<uint8_t>(row * size(height))};
  std::vector<int32_t> sums(row);
  for (int y = 0; y < height; ++y) {
    const auto [first, count] = plan.outputs[size(y)];
    const int32_t* weights = plan.weights.data() + size(y) * plan.width;
    std::fill(sums.begin(), sums.end(), 1 << (kFractionBits - 1));
    for (int k = 0; k < count; ++k) {
      const uint8_t* in = from.rgb.data() + size(first + k) * row;
      for (size_t i = 0; i < row; ++i) sums[i] += in[i] * weights[k];
    }
    uint8_t* out = to.rgb.data() + size(y) * row;
    for (size_t i = 0; i < row; ++i) out[i] = rounded(sums[i]);
  }
  return to;
}

// Mirrored at the diagonal from the upper left corner.
Image transpose(const Image& from) {
  Image to{.width = from.height, .height = from.width, .rgb = std::vector<uint8_t>(from.rgb.size())};
  uint8_t* out = to.rgb.data();
  for (int y = 0; y < to.height; ++y) {
    for (int x = 0; x < to.width; ++x, out += 3) {
      std::copy_n(from.rgb.data() + (size(x) * size(from.width) + size(y)) * 3, 3, out);
    }
  }
  return to;
}

Image pad_with_white(const Image& picture, int height) {
  const size_t row = size(picture.width) * 3;
  Image page{.width = picture.width, .height = height, .rgb = std::vector<uint8_t>(row * size(height), 255)};
  const int top = (height - picture.height) / 2;
  std::copy(picture.rgb.begin(), picture.rgb.end(), page.rgb.begin() + static_cast<std::ptrdiff_t>(size(top) * row));
  return page;
}

// What each of the 256 values of each colour becomes.
using Colours = std::array<std::array<float, 256>, 3>;

Colours normalised_colours(const ColourScale& scale) {
  Colours colours;
  for (size_t c = 0; c < 3; ++c) {
    for (size_t value = 0; value < 256; ++value) {
      colours[c][value] = (static_cast<float>(value) / 255.0F - scale.mean[c]) / scale.deviation[c];
    }
  }
  return colours;
}

void cut_tile(const Image& page, const Colours& colours, int top, int left, int side, float* out) {
  for (size_t c = 0; c < 3; ++c) {
    for (int y = 0; y < side; ++y) {
      const uint8_t* in = page.rgb.data() + (size(top + y) * size(page.width) + size(left)) * 3 + c;
      for (int x = 0; x < side; ++x) *out++ = colours[c][in[size(x) * 3]];
    }
  }
}

// The four inputs around an output's place, and their weights: cubic convolution with a = -0.75.
struct Cubic {
  std::array<int, 4> at;
  std::array<float, 4> weights;
};

std::vector<Cubic> cubic(int from, int to) {
  constexpr float kA = -0.75F;
  const auto near = [](float x) { return ((kA + 2) * x - (kA + 3)) * x * x + 1; };
  const auto far = [](float x) { return ((kA * x - 5 * kA) * x + 8 * kA) * x - 4 * kA; };
  const float scale = static_cast<float>(from) / static_cast<float>(to);
  std::vector<Cubic> out(size(to));
  for (int i = 0; i < to; ++i) {
    const float place = scale * (static_cast<float>(i) + 0.5F) - 0.5F;
    const float base = std::floor(place), t = place - base;
    Cubic& one = out[size(i)];
    one.weights = {far(t + 1), near(t), near(1 - t), far(2 - t)};
    for (int k = 0; k < 4; ++k) one.at[size(k)] = std::clamp(static_cast<int>(base) - 1 + k, 0, from - 1);
  }
  return out;
}

void shrink_to_tile(const Image& page, const Colours& colours, int side, float* out) {
  const std::vector<Cubic> across = cubic(page.width, side), down = cubic(page.height, side);
  for (size_t c = 0; c < 3; ++c) {
    for (const Cubic& y : down) {
      for (const Cubic& x : across) {
        float sum = 0;
        for (size_t j = 0; j < 4; ++j) {
          const uint8_t* row = page.rgb.data() + size(y.at[j]) * size(page.width) * 3 + c;
          float part = 0;
          for (size_t i = 0; i < 4; ++i) part += x.weights[i] * colours[c][row[size(x.at[i]) * 3]];
          sum += y.weights[j] * part;
        }
        *out++ = sum;
      }
    }
  }
}

}  // namespace

Image make_page(const Image& picture, int width, int height, int side) {
  const bool is_turned = picture.width < picture.height;
  if (is_turned) std::swap(width, height);
  Image lying = is_turned ? transpose(picture) : picture;
  lying = resize_height(resize_width(lying, width), height);
  lying = pad_with_white(lying, (height + side - 1) / side * side);
  return is_turned ? transpose(lying) : lying;
}

std::vector<float> tile_pixels(const Image& page, int side, const ColourScale& scale) {
  const Colours colours = normalised_colours(scale);
  const int rows = page.height / side, cols = page.width / side;
  const size_t tile = 3 * size(side) * size(side);
  std::vector<float> out((1 + size(rows) * size(cols)) * tile);
  shrink_to_tile(page, colours, side, out.data());
  float* at = out.data() + tile;
  for (int row = 0; row < rows; ++row) {
    for (int col = 0; col < cols; ++col, at += tile) cut_tile(page, colours, row * side, col * side, side, at);
  }
  return out;
}

}  // namespace phial::formats
