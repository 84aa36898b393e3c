// A picture that shapes are drawn on, with smooth edges: each pixel takes as much of a colour as the shape covers of
// it.
//
// Lengths are pixels, x to the right and y down from the upper left corner; a pixel is the square between whole
// numbers. What lies outside is left out. Coverage is exact for polygons, at the edges of the picture
// too (signed areas summed along each row, as in
// Raph Levien's font-rs); circles are polygons with edges too short to see. Threads: one a canvas.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "phial/formats/image.h"

namespace phial::data {

struct Colour {
  uint8_t red = 0, green = 0, blue = 0;
  bool operator==(const Colour&) const = default;
};

// As the eye weighs the three (ITU-R BT.601), 0 to 255.
inline double lightness(Colour c) { return 0.299 * c.red + 0.587 * c.green + 0.114 * c.blue; }

// Black or white, nearly: what is read better on it.
inline Colour ink_on(Colour ground) { return lightness(ground) > 140 ? Colour{20, 20, 20} : Colour{255, 255, 255}; }

struct Point {
  double x = 0, y = 0;
};

struct Box {
  double left = 0, top = 0, right = 0, bottom = 0;
  double width() const { return right - left; }
  double height() const { return bottom - top; }
  bool overlaps(const Box& other) const {
    return left < other.right && other.left < right && top < other.bottom && other.top < bottom;
  }
};

class Canvas {
 public:
  // Promise: 1 to 2^13 pixels a side.
  Canvas(int width, int height, Colour paper);

  int width() const { return image_.width; }
  int height() const { return image_.height; }

  void polygon(std::span<const Point> corners, Colour colour);
  void rectangle(const Box& box, Colour colour);
  // Ends are cut straight, at the points.
  void line(Point from, Point to, double thickness, Colour colour);
  void outline(const Box& box, double thickness, Colour colour);
  void circle(Point centre, double radius, Colour colour);
  void ring(Point centre, double radius, double thickness, Colour colour);
  // Of a circle: angles in radians, clockwise from the top.
  void sector(Point centre, double radius, double from, double to, Colour colour);
  // One pixel, `coverage` of it: 0 to 255.
  void blend(int x, int y, Colour colour, int coverage);

  const formats::Image& image() const { return image_; }
  formats::Image take() && { return std::move(image_); }

 private:
  void add_edge(Point from, Point to);
  void add_edge_in_row(double x_from, double x_to, double signed_height, std::span<double> row);
  void fill_covered(int top, int bottom, Colour colour);

  formats::Image image_;
  std::vector<double> areas_;  // [height, width + 2]: how much the coverage changes from the pixel before
};

// Where a circle of this radius is at an angle, clockwise from the top.
Point on_circle(Point centre, double radius, double angle);

}  // namespace phial::data
