#include <algorithm>
#include <array>

#include "phial/data/pick.h"
#include "phial/data/pictures/axes.h"

namespace phial::data {
namespace {

// Above a summit, below a valley, and elsewhere wherever there is room.
void draw_point_values(Page& page, const Series& series, std::span<const Point> points) {
  const double height = page.text_height(), gap = height * 0.6 + page.style().line;
  for (size_t i = 0; i < points.size(); ++i) {
    const auto [x, y] = points[i];
    const std::string text = written(series.values[i], series.format);
    const Point above = {x, y - gap}, below = {x, y + gap + height};
    const bool is_valley = (i == 0 || points[i - 1].y < y) && (i + 1 == points.size() || points[i + 1].y < y);
    const Colour ink = page.style().ink;
    if (page.try_text(is_valley ? below : above, Side::kMiddle, text, ink)) continue;
    if (page.try_text(is_valley ? above : below, Side::kMiddle, text, ink)) continue;
    if (page.try_text({x + gap, y - gap}, Side::kLeft, text, ink)) continue;
    page.text({x - gap, y - gap}, Side::kRight, text, ink);
  }
}

void draw_marker(Page& page, Point at, double radius, size_t kind, Colour colour) {
  Canvas& canvas = page.canvas();
  const auto [x, y] = at;
  if (kind == 0) {
    canvas.circle(at, radius, colour);
  } else if (kind == 1) {
    canvas.rectangle({x - radius, y - radius, x + radius, y + radius}, colour);
  } else if (kind == 2) {
    const double wide = radius * 1.3;
    const std::array<Point, 4> corners = {{{x, y - wide}, {x + wide, y}, {x, y + wide}, {x - wide, y}}};
    canvas.polygon(corners, colour);
  } else {
    canvas.circle(at, radius, colour);
    canvas.circle(at, radius * 0.5, page.style().paper);
  }
}

void draw_line_chart(Page& page, Random& layout, const Series& series, const AxesLook& look) {
  const Axes axes = draw_axes(page, layout, series, look);
  const Colour colour = page.style().palette.front();
  const double thickness = page.style().line * 1.5 + layout.uniform();
  std::vector<Point> points;
  points.reserve(series.values.size());
  for (size_t i = 0; i < series.values.size(); ++i) {
    points.push_back({axes.middle_of(i), axes.place_of(series.values[i])});
  }
  for (size_t i = 0; i + 1 < points.size(); ++i) {
    page.canvas().line(points[i], points[i + 1], thickness, colour);
    page.keep_free(points[i], points[i + 1], thickness);
  }
  const size_t kind = layout.below(4);
  for (const Point& point : points) draw_marker(page, point, thickness * 1.2 + 1, kind, colour);
  if (look.leaves_room_for_values) draw_point_values(page, series, points);
}

}  // namespace

Picture make_line_chart(Random& random, int size) {
  const int most = std::clamp(size / 42, 3, 8);
  const bool marked = chance(random, 0.5);
  const Series series = make_series(random, static_cast<int>(number_between(random, 3, most)), Names::kInTime, marked);
  const AxesLook look = {.shows_marks = !marked || chance(random, 0.4), .leaves_room_for_values = marked};
  return {.content = content_of(series),
          .ask = [series](Random& choice) { return ask_series(choice, series, Asked::kValues, "point", "line chart"); },
          .draw = [series, look](Page& page, Random& layout) { draw_line_chart(page, layout, series, look); }};
}

}  // namespace phial::data
