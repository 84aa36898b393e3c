#include "phial/data/page.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <string>
#include <utility>

#include "phial/data/pick.h"

namespace phial::data {
namespace {

struct Ground {
  Colour paper, ink, faint;
};

constexpr std::array<Ground, 6> kGrounds = {{{{255, 255, 255}, {25, 25, 25}, {220, 220, 220}},
                                             {{255, 255, 255}, {60, 60, 70}, {228, 228, 228}},
                                             {{250, 246, 236}, {50, 40, 30}, {224, 216, 200}},
                                             {{240, 244, 250}, {20, 35, 60}, {210, 218, 230}},
                                             {{235, 235, 235}, {20, 20, 20}, {208, 208, 208}},
                                             {{34, 38, 46}, {235, 235, 235}, {70, 76, 88}}}};

// Strong enough for light and for dark paper; neighbours in a list differ in hue and in lightness.
constexpr std::array<std::array<Colour, 8>, 4> kPalettes = {{
    {{{31, 119, 180},
      {255, 127, 14},
      {44, 160, 44},
      {214, 39, 40},
      {148, 103, 189},
      {140, 86, 75},
      {227, 119, 194},
      {188, 189, 34}}},
    {{{78, 121, 167},
      {242, 142, 43},
      {225, 87, 89},
      {118, 183, 178},
      {89, 161, 79},
      {237, 201, 72},
      {176, 122, 161},
      {156, 117, 95}}},
    {{{0, 114, 178},
      {230, 159, 0},
      {0, 158, 115},
      {204, 121, 167},
      {86, 180, 233},
      {213, 94, 0},
      {170, 160, 40},
      {120, 120, 130}}},
    {{{102, 87, 200},
      {240, 120, 110},
      {60, 170, 160},
      {235, 180, 60},
      {200, 80, 150},
      {90, 150, 230},
      {150, 190, 70},
      {190, 120, 70}}},
}};

constexpr double kLeastTextSize = 9;  // below it letters run into each other

}  // namespace

Style choose_style(std::span<Font> fonts, int size, Random& random) {
  Style style;
  style.font = &fonts[random.below(fonts.size())];
  const double usual = std::max(kLeastTextSize, 0.036 * size);
  style.text_size = std::max(kLeastTextSize, std::round(usual * (0.9 + 0.35 * random.uniform())));
  style.line = std::max(1.0, std::round(size * (0.003 + 0.003 * random.uniform())));
  const Ground& ground = pick(random, kGrounds);
  style.paper = ground.paper;
  style.ink = ground.ink;
  style.faint = ground.faint;
  const auto& palette = pick(random, kPalettes);
  style.palette.assign(palette.begin(), palette.end());
  std::ranges::rotate(style.palette, style.palette.begin() + static_cast<std::ptrdiff_t>(random.below(palette.size())));
  return style;
}

Page::Page(int size, Style style) : canvas_(size, size, style.paper), style_(std::move(style)) {}

double Page::text_width(std::string_view text, double scale) const {
  return style_.font->text_width(text, style_.text_size * scale);
}

double Page::text_height(double scale) const { return style_.font->capital_height(style_.text_size * scale); }

bool Page::is_free(const Box& box) const {
  return box.left >= 1 && box.top >= 1 && box.right <= size() - 1 && box.bottom <= size() - 1 &&
         std::ranges::none_of(taken_, [&](const Box& other) { return other.overlaps(box); });
}

void Page::take(const Box& box) {
  is_legible_ = is_legible_ && is_free(box);
  taken_.push_back(box);
}

Box Page::box_of(Point at, Side side, std::string_view text, double scale) const {
  const double width = text_width(text, scale), height = text_height(scale);
  const double left = at.x - (side == Side::kLeft ? 0 : side == Side::kMiddle ? width / 2 : width);
  const double below = text.find_first_of("gjpqy,;()$Q@") == std::string_view::npos ? 0 : 0.3 * height;
  return {left - 0.15 * height, at.y - height - 1, left + width + 0.15 * height, at.y + below + 1};
}

void Page::keep_free(Point from, Point to, double thickness) {
  const double half = std::max(1.0, thickness / 2);
  const int pieces = std::max(1, static_cast<int>(std::ceil(std::hypot(to.x - from.x, to.y - from.y) / (2 * half))));
  for (int i = 0; i <= pieces; ++i) {
    const double x = from.x + (to.x - from.x) * i / pieces, y = from.y + (to.y - from.y) * i / pieces;
    keep_free({x - half, y - half, x + half, y + half});
  }
}

void Page::keep_free_ring(Point centre, double radius, double thickness) {
  constexpr int kSides = 48;
  constexpr double kSide = 2 * std::numbers::pi / kSides;
  for (int i = 0; i < kSides; ++i) {
    keep_free(on_circle(centre, radius, i * kSide), on_circle(centre, radius, (i + 1) * kSide), thickness);
  }
}

void Page::text(Point at, Side side, std::string_view what, Colour colour, double scale) {
  const Box box = box_of(at, side, what, scale);
  take(box);
  const Point start = {box.left + 0.15 * text_height(scale), at.y};
  if (!style_.font->draw(canvas_, start, what, style_.text_size * scale, colour)) give_up();
}

bool Page::try_text(Point at, Side side, std::string_view what, Colour colour, double scale) {
  if (!is_free(box_of(at, side, what, scale))) return false;
  text(at, side, what, colour, scale);
  return true;
}

void Page::text_around(Point middle, std::string_view what, Colour colour, double scale) {
  text({middle.x, middle.y + text_height(scale) / 2}, Side::kMiddle, what, colour, scale);
}

void Page::text_upright(Point middle, std::string_view what, Colour colour, double scale) {
  const double width = text_width(what, scale), height = text_height(scale);
  take({middle.x - height / 2 - 1, middle.y - width / 2, middle.x + height / 2 + 0.3 * height, middle.y + width / 2});
  const Point start = {middle.x + height / 2, middle.y + width / 2};
  if (!style_.font->draw(canvas_, start, what, style_.text_size * scale, colour, true)) give_up();
}

}  // namespace phial::data
