#include <algorithm>
#include <array>
#include <numbers>

#include "phial/data/pick.h"
#include "phial/data/pictures/figures.h"

namespace phial::data {
namespace {

struct NamedColour {
  const char* name;
  Colour colour;
};

// As people name them, on light and on dark paper.
constexpr std::array<NamedColour, 6> kNamedColours = {{{"red", {220, 40, 40}},
                                                       {"blue", {50, 100, 225}},
                                                       {"green", {40, 160, 70}},
                                                       {"yellow", {240, 205, 40}},
                                                       {"orange", {245, 130, 20}},
                                                       {"purple", {145, 70, 185}}}};

constexpr std::array<const char*, 5> kShapeNames = {"circle", "square", "triangle", "star", "hexagon"};

struct Shape {
  size_t kind = 0, colour = 0;
  Point centre;       // shares of the picture's side
  double radius = 0;  // of the circle around it
};

// `points` corners, every other one nearer to the middle by `waist`; the first stands at the top, turned by `turn`.
std::vector<Point> star_shape(Point centre, double radius, size_t points, double waist, double turn = 0) {
  std::vector<Point> corners;
  for (size_t i = 0; i < points; ++i) {
    const double angle = turn + 2 * std::numbers::pi * static_cast<double>(i) / static_cast<double>(points);
    corners.push_back(on_circle(centre, i % 2 == 1 ? radius * waist : radius, angle));
  }
  return corners;
}

void draw_shape(Page& page, const Shape& shape) {
  const Point centre = {page.part(shape.centre.x), page.part(shape.centre.y)};
  const double radius = page.part(shape.radius);
  const Colour colour = kNamedColours[shape.colour].colour;
  switch (shape.kind) {
    case 0:
      return page.canvas().circle(centre, radius * 0.9, colour);
    case 1:
      return page.canvas().polygon(star_shape(centre, radius, 4, 1, std::numbers::pi / 4), colour);
    case 2:
      return page.canvas().polygon(star_shape(centre, radius, 3, 1), colour);
    case 3:
      return page.canvas().polygon(star_shape(centre, radius, 10, 0.42), colour);
    default:
      return page.canvas().polygon(star_shape(centre, radius, 6, 1), colour);
  }
}

// Apart from each other, and no two of them at nearly the same height or side.
std::vector<Shape> scatter(Random& random, size_t count) {
  std::vector<Shape> shapes;
  for (int tries = 0; shapes.size() < count && tries < 4000; ++tries) {
    const double radius = 0.055 + 0.045 * random.uniform();
    const auto inside = [&] { return radius + 0.02 + (1 - 2 * radius - 0.04) * random.uniform(); };
    const double x = inside(), y = inside();
    const bool fits = std::ranges::all_of(shapes, [&](const Shape& other) {
      const double across = x - other.centre.x, down = y - other.centre.y, apart = radius + other.radius + 0.015;
      return across * across + down * down > apart * apart && across * across > 0.0009 && down * down > 0.0009;
    });
    if (!fits) continue;
    shapes.push_back({random.below(kShapeNames.size()), random.below(kNamedColours.size()), {x, y}, radius});
  }
  return shapes;
}

std::string called(const Shape& shape) {
  return std::string(kNamedColours[shape.colour].name) + " " + kShapeNames[shape.kind];
}

Question ask_number(Random& random, const std::vector<Shape>& shapes) {
  const Shape& one = pick(random, shapes);
  // Sometimes of what may not be there at all.
  const size_t kind = chance(random, 0.8) ? one.kind : random.below(kShapeNames.size());
  const size_t colour = chance(random, 0.8) ? one.colour : random.below(kNamedColours.size());
  const uint64_t form = random.below(4);  // by kind, by colour, by both, all
  const auto count = std::ranges::count_if(shapes, [&](const Shape& shape) {
    return (form == 1 || form == 3 || shape.kind == kind) && (form == 0 || form == 3 || shape.colour == colour);
  });
  const std::string what = (form == 1 || form == 2 ? std::string(kNamedColours[colour].name) + " " : std::string()) +
                           (form == 0 || form == 2 ? kShapeNames[kind] : "shape") + "s";
  const std::vector<std::string> phrases = {"How many " + what + " are there?", "Count the " + what + ".",
                                            "How many " + what + " do you see?"};
  return {pick(random, phrases), std::to_string(count)};
}

Question ask_place(Random& random, const std::vector<Shape>& shapes) {
  struct Place {
    const char* name;
    double right, down;
  };
  constexpr std::array<Place, 4> kPlaces = {{{"farthest to the left", -1, 0},
                                             {"farthest to the right", 1, 0},
                                             {"at the very top", 0, -1},
                                             {"at the very bottom", 0, 1}}};
  const Place& place = pick(random, kPlaces);
  const Shape& found = *std::ranges::max_element(
      shapes, {}, [&](const Shape& shape) { return shape.centre.x * place.right + shape.centre.y * place.down; });
  const std::string where = place.name;
  switch (random.below(3)) {
    case 0:
      return {"Which colour has the shape " + where + "?", kNamedColours[found.colour].name};
    case 1:
      return {"What kind of shape is " + where + "?", kShapeNames[found.kind]};
    default:
      return {"Which shape is " + where + "? Name its colour and kind.", called(found)};
  }
}

// About a shape of which there is one of its kind, or by colour; nothing if there is none.
Question ask_only(Random& random, const std::vector<Shape>& shapes) {
  for (const Shape& shape : shapes) {
    if (std::ranges::count(shapes, shape.kind, &Shape::kind) == 1) {
      return {std::string("Which colour has the ") + kShapeNames[shape.kind] + "?", kNamedColours[shape.colour].name};
    }
    if (std::ranges::count(shapes, shape.colour, &Shape::colour) == 1) {
      return {std::string("What kind of shape is the ") + kNamedColours[shape.colour].name + " one?",
              kShapeNames[shape.kind]};
    }
  }
  return ask_number(random, shapes);
}

// Is one shape, the only one of its colour and kind, beside another one?
Question ask_relation(Random& random, const std::vector<Shape>& shapes) {
  std::vector<const Shape*> unique;
  for (const Shape& shape : shapes) {
    if (std::ranges::count(shapes, called(shape), called) == 1) unique.push_back(&shape);
  }
  if (unique.size() < 2) return ask_number(random, shapes);
  shuffle(random, unique);
  const Shape &one = *unique[0], &other = *unique[1];
  const bool sideways = chance(random, 0.5), first = chance(random, 0.5);
  const bool is_before = sideways ? one.centre.x < other.centre.x : one.centre.y < other.centre.y;
  const std::string relation = sideways ? (first ? "to the left of" : "to the right of") : (first ? "above" : "below");
  return {"Is the " + called(one) + " " + relation + " the " + called(other) + "?", is_before == first ? "Yes" : "No"};
}

}  // namespace

Picture make_scattered_shapes(Random& random, int size) {
  const auto most = std::clamp<int64_t>(size / 30, 4, 10);
  const std::vector<Shape> shapes = scatter(random, static_cast<size_t>(number_between(random, 2, most)));
  std::string content;
  for (const Shape& shape : shapes) {
    // To a hundredth of the side: as near as somebody would call the same picture.
    content += called(shape) + " " + std::to_string(static_cast<int>(shape.centre.x * 100)) + " " +
               std::to_string(static_cast<int>(shape.centre.y * 100)) + "\n";
  }
  using Form = Question (*)(Random&, const std::vector<Shape>&);
  constexpr std::array<Form, 5> kForms = {ask_number, ask_number, ask_place, ask_only, ask_relation};
  return {.content = content, .question = pick(random, kForms)(random, shapes), .draw = [shapes](Page& page, Random&) {
            for (const Shape& shape : shapes) draw_shape(page, shape);
          }};
}

}  // namespace phial::data
