#include "phial/data/canvas.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <utility>

namespace phial::data {
namespace {

constexpr double kFullTurn = 2 * std::numbers::pi;

// The corners of a circle's arc, near enough to it that no eye sees the difference.
std::vector<Point> arc(Point centre, double radius, double from, double to) {
  const int pieces = std::max(8, static_cast<int>(std::ceil((to - from) * (4 + radius))));
  std::vector<Point> points;
  for (int i = 0; i <= pieces; ++i) points.push_back(on_circle(centre, radius, from + (to - from) * i / pieces));
  return points;
}

uint8_t mixed(uint8_t below, uint8_t above, int coverage) {
  return static_cast<uint8_t>((below * (255 - coverage) + above * coverage + 127) / 255);
}

}  // namespace

Point on_circle(Point centre, double radius, double angle) {
  return {centre.x + radius * std::sin(angle), centre.y - radius * std::cos(angle)};
}

Canvas::Canvas(int width, int height, Colour paper)
    : image_{.width = width, .height = height}, areas_(static_cast<size_t>(width + 2) * static_cast<size_t>(height)) {
  image_.rgb.reserve(static_cast<size_t>(width) * static_cast<size_t>(height) * 3);
  for (int pixel = 0; pixel < width * height; ++pixel) {
    image_.rgb.insert(image_.rgb.end(), {paper.red, paper.green, paper.blue});
  }
}

// Within one row of pixels an edge covers, to its right, `signed_height` of each pixel; of those that it crosses, the
// part of the trapezoid.
void Canvas::add_edge_in_row(double x_from, double x_to, double signed_height, std::span<double> row) {
  const double limit = width(), least = std::min(x_from, x_to), most = std::max(x_from, x_to);
  const auto at = [&](int x) -> double& { return row[static_cast<size_t>(x)]; };
  // What is left of the picture covers all of the row, what is right of it nothing.
  const auto share_below = [&](double x) { return least >= x ? 0.0 : most <= x ? 1.0 : (x - least) / (most - least); };
  const double outside = share_below(0);
  at(0) += signed_height * outside;
  signed_height *= share_below(limit) - outside;
  const double left = std::clamp(least, 0.0, limit), right = std::clamp(most, 0.0, limit);
  const int first = static_cast<int>(left);
  const int last = static_cast<int>(std::ceil(right));  // the pixel behind the crossed ones
  if (last <= first + 1) {
    const double behind = (left + right) / 2 - first;  // how far into the pixel the edge stands, on average
    at(first) += signed_height * (1 - behind);
    at(first + 1) += signed_height * behind;
    return;
  }
  // The share of the height that lies left of x falls evenly from `left` to `right`: its integral over each pixel.
  double before = 0;
  for (int x = first; x < last; ++x) {
    const double from = std::max<double>(left, x), to = std::min<double>(right, x + 1);
    const double at_from = (from - left) / (right - left), at_to = (to - left) / (right - left);
    const double covered = (to - from) * (at_from + at_to) / 2 + (x + 1 - to);
    at(x) += signed_height * (covered - before);
    before = covered;
  }
  at(last) += signed_height * (1 - before);
}

void Canvas::add_edge(Point from, Point to) {
  if (from.y == to.y) return;
  const double sign = from.y < to.y ? 1 : -1;
  if (from.y > to.y) std::swap(from, to);
  const double slope = (to.x - from.x) / (to.y - from.y);
  const int begin = static_cast<int>(std::clamp(std::floor(from.y), 0.0, static_cast<double>(height())));
  const int end = static_cast<int>(std::clamp(std::ceil(to.y), 0.0, static_cast<double>(height())));
  for (int y = begin; y < end; ++y) {
    const double top = std::max<double>(from.y, y), bottom = std::min<double>(to.y, y + 1);
    const size_t stride = static_cast<size_t>(width()) + 2;
    add_edge_in_row(from.x + (top - from.y) * slope, from.x + (bottom - from.y) * slope, sign * (bottom - top),
                    std::span(areas_).subspan(static_cast<size_t>(y) * stride, stride));
  }
}

void Canvas::fill_covered(int top, int bottom, Colour colour) {
  const size_t stride = static_cast<size_t>(width()) + 2;
  for (int y = top; y < bottom; ++y) {
    double covered = 0;
    const auto row = std::span(areas_).subspan(static_cast<size_t>(y) * stride, stride);
    for (int x = 0; x < width(); ++x) {
      covered += row[static_cast<size_t>(x)];
      const int coverage = static_cast<int>(std::lround(std::min(std::abs(covered), 1.0) * 255));
      if (coverage > 0) blend(x, y, colour, coverage);
    }
    std::ranges::fill(row, 0.0);
  }
}

void Canvas::polygon(std::span<const Point> corners, Colour colour) {
  double top = height(), bottom = 0;
  for (size_t i = 0; i < corners.size(); ++i) {
    add_edge(corners[i], corners[(i + 1) % corners.size()]);
    top = std::min(top, corners[i].y);
    bottom = std::max(bottom, corners[i].y);
  }
  fill_covered(static_cast<int>(std::max(0.0, std::floor(top))),
               static_cast<int>(std::min<double>(height(), std::ceil(bottom))), colour);
}

void Canvas::rectangle(const Box& box, Colour colour) {
  const std::array<Point, 4> corners = {
      {{box.left, box.top}, {box.right, box.top}, {box.right, box.bottom}, {box.left, box.bottom}}};
  polygon(corners, colour);
}

void Canvas::line(Point from, Point to, double thickness, Colour colour) {
  const double length = std::hypot(to.x - from.x, to.y - from.y);
  if (length == 0) return;
  const double across_x = -(to.y - from.y) / length * thickness / 2;
  const double across_y = (to.x - from.x) / length * thickness / 2;
  const std::array<Point, 4> corners = {{{from.x + across_x, from.y + across_y},
                                         {to.x + across_x, to.y + across_y},
                                         {to.x - across_x, to.y - across_y},
                                         {from.x - across_x, from.y - across_y}}};
  polygon(corners, colour);
}

void Canvas::outline(const Box& box, double thickness, Colour colour) {
  rectangle({box.left, box.top, box.right, box.top + thickness}, colour);
  rectangle({box.left, box.bottom - thickness, box.right, box.bottom}, colour);
  rectangle({box.left, box.top + thickness, box.left + thickness, box.bottom - thickness}, colour);
  rectangle({box.right - thickness, box.top + thickness, box.right, box.bottom - thickness}, colour);
}

void Canvas::circle(Point centre, double radius, Colour colour) { polygon(arc(centre, radius, 0, kFullTurn), colour); }

void Canvas::ring(Point centre, double radius, double thickness, Colour colour) {
  // Outside forwards, inside backwards: the seam between them has no width.
  std::vector<Point> points = arc(centre, radius + thickness / 2, 0, kFullTurn);
  std::vector<Point> inside = arc(centre, radius - thickness / 2, 0, kFullTurn);
  points.insert(points.end(), inside.rbegin(), inside.rend());
  polygon(points, colour);
}

void Canvas::sector(Point centre, double radius, double from, double to, Colour colour) {
  std::vector<Point> points = arc(centre, radius, from, to);
  points.push_back(centre);
  polygon(points, colour);
}

void Canvas::blend(int x, int y, Colour colour, int coverage) {
  if (x < 0 || y < 0 || x >= width() || y >= height()) return;
  uint8_t* pixel =
      image_.rgb.data() + (static_cast<size_t>(y) * static_cast<size_t>(width()) + static_cast<size_t>(x)) * 3;
  pixel[0] = mixed(pixel[0], colour.red, coverage);
  pixel[1] = mixed(pixel[1], colour.green, coverage);
  pixel[2] = mixed(pixel[2], colour.blue, coverage);
}

}  // namespace phial::data
