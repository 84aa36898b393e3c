// A picture in the making: a canvas in one style, on which no text may touch another or leave the picture.
//
// Whoever draws puts texts where the layout wants them and asks at the end whether all were legible; where they were
// not, the picture is thrown away and another one drawn.
#pragma once

#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "phial/base/random.h"
#include "phial/data/canvas.h"
#include "phial/data/font.h"

namespace phial::data {

// What a picture looks like, whatever it shows.
struct Style {
  Font* font = nullptr;
  double text_size = 12;        // pixels of an em
  double line = 1;              // thickness of axes and outlines
  Colour paper, ink, faint;     // `faint`: grid lines
  std::vector<Colour> palette;  // told apart from each other and from the paper
};

// For a picture of `size` pixels a side.
Style choose_style(std::span<Font> fonts, int size, Random& random);

enum class Side { kLeft, kMiddle, kRight };

class Page {
 public:
  Page(int size, Style style);

  Canvas& canvas() { return canvas_; }
  const Style& style() const { return style_; }
  double size() const { return canvas_.width(); }
  // A share of the picture's side, in pixels.
  double part(double share) const { return size() * share; }

  double text_width(std::string_view text, double scale = 1) const;
  // From the baseline to the top of capitals and digits.
  double text_height(double scale = 1) const;

  // `at` is the left end, the middle or the right end of the baseline; `scale` multiplies the style's text size.
  void text(Point at, Side side, std::string_view text, Colour colour, double scale = 1);
  // The same, but where there is no room nothing is drawn: false.
  bool try_text(Point at, Side side, std::string_view text, Colour colour, double scale = 1);
  // The middle of the text stands at `middle`.
  void text_around(Point middle, std::string_view text, Colour colour, double scale = 1);
  // Reads upwards, its middle at `middle`.
  void text_upright(Point middle, std::string_view text, Colour colour, double scale = 1);
  // No text may stand here.
  void keep_free(const Box& box) { taken_.push_back(box); }
  // Nor on this line, or on this ring.
  void keep_free(Point from, Point to, double thickness);
  void keep_free_ring(Point centre, double radius, double thickness);

  // Says that something cannot be read that no overlap tells of.
  void give_up() { is_legible_ = false; }

  bool is_legible() const { return is_legible_; }
  formats::Image take() && { return std::move(canvas_).take(); }

 private:
  Box box_of(Point at, Side side, std::string_view text, double scale) const;
  bool is_free(const Box& box) const;
  void take(const Box& box);

  Canvas canvas_;
  Style style_;
  std::vector<Box> taken_;
  bool is_legible_ = true;
};

}  // namespace phial::data
