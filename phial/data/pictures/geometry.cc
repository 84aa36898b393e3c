#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "phial/data/pick.h"
#include "phial/data/pictures/picture.h"

namespace phial::data {
namespace {

// A length as the figure marks it, and the words for what is asked.
struct Unit {
  std::string mark, of_length, of_area;
};

const std::array<Unit, 3>& units() {
  static const std::array<Unit, 3> all = {
      {{"", "", ""}, {" cm", " in cm", " in square cm"}, {" m", " in m", " in square m"}}};
  return all;
}

// Turned on its side or measured in other units it is the same figure.
std::string sorted_pair(int64_t one, int64_t other) {
  return std::to_string(std::min(one, other)) + " " + std::to_string(std::max(one, other));
}

// Where a figure of these proportions stands, as large as room around it for its marks allows.
Box frame_for(const Page& page, Random& layout, double width, double height) {
  const double room = page.size() * (0.5 + 0.12 * layout.uniform());
  const double scale = room / std::max(width, height);
  const double left = (page.size() - width * scale) * (0.4 + 0.2 * layout.uniform());
  const double top = (page.size() - height * scale) * (0.4 + 0.2 * layout.uniform());
  return {left, top, left + width * scale, top + height * scale};
}

void draw_figure(Page& page, Random& layout, std::span<const Point> corners) {
  const double thickness = page.style().line * 1.6;
  if (chance(layout, 0.5)) page.canvas().polygon(corners, page.style().palette.front());
  for (size_t i = 0; i < corners.size(); ++i) {
    page.canvas().line(corners[i], corners[(i + 1) % corners.size()], thickness, page.style().ink);
    page.canvas().circle(corners[i], thickness / 2, page.style().ink);
    page.keep_free(corners[i], corners[(i + 1) % corners.size()], thickness);
  }
}

void mark_below(Page& page, const Box& box, const std::string& text) {
  page.text({(box.left + box.right) / 2, box.bottom + page.text_height() * 1.9}, Side::kMiddle, text, page.style().ink,
            1.1);
}
void mark_left(Page& page, const Box& box, const std::string& text) {
  page.text({box.left - page.text_height() * 0.8, (box.top + box.bottom) / 2 + page.text_height() / 2}, Side::kRight,
            text, page.style().ink, 1.1);
}

Picture make_rectangle(Random& random) {
  const bool is_square = chance(random, 0.25);
  const Unit unit = pick(random, units());
  const int64_t width = number_between(random, 2, 30);
  const int64_t height =
      is_square ? width
                : std::max<int64_t>(2, number_between(random, (width + 3) / 4, std::min<int64_t>(width * 3, 30)));
  const std::string name = is_square ? "square" : "rectangle";
  const std::string wide = std::to_string(width) + unit.mark, high = std::to_string(height) + unit.mark;
  return {.content = "rectangle " + sorted_pair(width, height),
          .ask = [=](Random& choice) -> Question {
            if (chance(choice, 0.5)) {
              return {"What is the area of the " + name + unit.of_area + "?", std::to_string(width * height)};
            }
            return {"What is the perimeter of the " + name + unit.of_length + "?",
                    std::to_string(2 * (width + height))};
          },
          .draw =
              [=](Page& page, Random& layout) {
                const Box box = frame_for(page, layout, static_cast<double>(width), static_cast<double>(height));
                const std::array<Point, 4> corners = {
                    {{box.left, box.top}, {box.right, box.top}, {box.right, box.bottom}, {box.left, box.bottom}}};
                draw_figure(page, layout, corners);
                mark_below(page, box, wide);
                if (!is_square) mark_left(page, box, high);
              }};
}

// Legs and hypotenuse in whole numbers.
constexpr std::array<std::array<int64_t, 3>, 7> kTriples = {
    {{3, 4, 5}, {5, 12, 13}, {8, 15, 17}, {7, 24, 25}, {20, 21, 29}, {9, 12, 15}, {12, 16, 20}}};

Picture make_right_triangle(Random& random) {
  const auto& triple = pick(random, kTriples);
  const int64_t scale = triple[2] <= 17 ? number_between(random, 1, 4) : 1;
  const bool asks_area = chance(random, 0.5), turned = chance(random, 0.5);
  // Any legs have an area; for the hypotenuse they are a triple's. One leg is even, so that the area is whole.
  int64_t width = asks_area ? 2 * number_between(random, 1, 12) : triple[turned ? 1 : 0] * scale;
  const int64_t height =
      asks_area ? number_between(random, (width + 2) / 3, width * 2) : triple[turned ? 0 : 1] * scale;
  const Unit unit = pick(random, units());
  const std::string wide = std::to_string(width) + unit.mark, high = std::to_string(height) + unit.mark;
  return {.content = "right triangle " + sorted_pair(width, height),
          .ask = [=](Random& choice) -> Question {
            if (asks_area) {
              return {"What is the area of the triangle" + unit.of_area + "?", std::to_string(width * height / 2)};
            }
            const std::vector<std::string> phrases = {
                "How long is the longest side of the triangle" + unit.of_length + "?",
                "What is the length of the hypotenuse" + unit.of_length + "?"};
            return {pick(choice, phrases), std::to_string(triple[2] * scale)};
          },
          .draw =
              [=](Page& page, Random& layout) {
                const Box box = frame_for(page, layout, static_cast<double>(width), static_cast<double>(height));
                const std::array<Point, 3> corners = {
                    {{box.left, box.top}, {box.right, box.bottom}, {box.left, box.bottom}}};
                draw_figure(page, layout, corners);
                const double side = page.part(0.035);
                page.canvas().outline({box.left, box.bottom - side, box.left + side, box.bottom}, page.style().line,
                                      page.style().ink);
                mark_below(page, box, wide);
                mark_left(page, box, high);
              }};
}

Picture make_circle(Random& random) {
  const bool marks_radius = chance(random, 0.5);
  const Unit unit = pick(random, units());
  const int64_t radius = number_between(random, 1, 60);
  const std::string mark = std::to_string(marks_radius ? radius : 2 * radius) + unit.mark;
  return {.content = "circle " + std::to_string(radius),
          .ask = [=](Random&) -> Question {
            return {std::string("What is the ") + (marks_radius ? "diameter" : "radius") + " of the circle" +
                        unit.of_length + "?",
                    std::to_string(marks_radius ? 2 * radius : radius)};
          },
          .draw =
              [=](Page& page, Random& layout) {
                const Box box = frame_for(page, layout, 1, 1);
                const Point centre = {(box.left + box.right) / 2, (box.top + box.bottom) / 2};
                const double half = box.width() / 2, thickness = page.style().line * 1.6;
                page.canvas().ring(centre, half, thickness, page.style().ink);
                page.keep_free_ring(centre, half, thickness);
                page.canvas().line({marks_radius ? centre.x : box.left, centre.y}, {box.right, centre.y}, thickness,
                                   page.style().palette.front());
                page.keep_free(Point{marks_radius ? centre.x : box.left, centre.y}, Point{box.right, centre.y},
                               thickness);
                page.canvas().circle(centre, thickness * 1.5, page.style().ink);
                page.text({marks_radius ? centre.x + half / 2 : centre.x, centre.y - page.text_height() * 0.8},
                          Side::kMiddle, mark, page.style().ink, 1.1);
              }};
}

Picture make_angles(Random& random) {
  const int64_t left = number_between(random, 25, 100);
  const int64_t right = number_between(random, 25, std::min<int64_t>(100, 155 - left));
  return {
      .content = "triangle " + sorted_pair(left, right),
      .ask = [=](Random& choice) -> Question {
        const std::vector<std::string> phrases = {"Two angles are marked in degrees. How large is the third one?",
                                                  "How many degrees has the angle with the question mark?",
                                                  "What is the missing angle of the triangle in degrees?"};
        return {pick(choice, phrases), std::to_string(180 - left - right)};
      },
      .draw =
          [=](Page& page, Random&) {
            const auto radians = [](int64_t degrees) { return static_cast<double>(degrees) * std::numbers::pi / 180; };
            const double a = radians(left), b = radians(right);
            // The base is 1 long; the apex stands where the sides meet.
            const double side = std::sin(b) / std::sin(a + b);
            const Point apex = {side * std::cos(a), -side * std::sin(a)};
            const double from = std::min(0.0, apex.x), width = std::max(1.0, apex.x) - from;
            const double room = page.part(0.84), scale = room / std::max(width, -apex.y);
            const double x = (page.size() - width * scale) / 2 - from * scale;
            const double y = (page.size() - apex.y * scale) / 2;
            const std::array<Point, 3> corners = {{{x, y}, {x + scale, y}, {x + apex.x * scale, y + apex.y * scale}}};
            for (size_t i = 0; i < 3; ++i) {
              page.canvas().line(corners[i], corners[(i + 1) % 3], page.style().line * 1.6, page.style().ink);
              page.keep_free(corners[i], corners[(i + 1) % 3], page.style().line * 1.6);
            }
            // Towards the middle of the circle inside, which lies on what halves each angle.
            const std::array<std::string, 3> marks = {std::to_string(left), std::to_string(right), "?"};
            const std::array<double, 3> angles = {a, b, std::numbers::pi - a - b};
            const auto length = [&](size_t i, size_t j) {
              return std::hypot(corners[i].x - corners[j].x, corners[i].y - corners[j].y);
            };
            const double opposite[] = {length(1, 2), length(0, 2), length(0, 1)};
            const double around = opposite[0] + opposite[1] + opposite[2];
            const Point middle = {
                (corners[0].x * opposite[0] + corners[1].x * opposite[1] + corners[2].x * opposite[2]) / around,
                (corners[0].y * opposite[0] + corners[1].y * opposite[1] + corners[2].y * opposite[2]) / around};
            for (size_t i = 0; i < 3; ++i) {
              const double far = std::hypot(middle.x - corners[i].x, middle.y - corners[i].y);
              const double away = page.text_width("000", 1) * 0.9 / std::sin(angles[i] / 2);
              if (away > far) page.give_up();
              page.text_around({corners[i].x + (middle.x - corners[i].x) * away / far,
                                corners[i].y + (middle.y - corners[i].y) * away / far},
                               marks[i], page.style().ink);
            }
          }};
}

}  // namespace

Picture make_geometry(Random& random, int) {
  using Make = Picture (*)(Random&);
  constexpr std::array<Make, 4> kFigures = {make_rectangle, make_right_triangle, make_circle, make_angles};
  return pick(random, kFigures)(random);
}

}  // namespace phial::data
