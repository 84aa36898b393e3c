#include <algorithm>
#include <array>
#include <numbers>

#include "phial/data/pick.h"
#include "phial/data/pictures/picture.h"

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

// Below it circles and hexagons are alike.
constexpr double kLeastRadiusPixels = 10;
// What people see without measuring, a share of the side, and never less than these pixels.
constexpr double kPlainDistance = 0.02, kPlainDistancePixels = 2;

// `points` corners, every other one nearer to the middle by `waist`; the first stands at the top, turned by `turn`.
std::vector<Point> star_shape(Point centre, double radius, size_t points, double waist, double turn = 0) {
  std::vector<Point> corners;
  for (size_t i = 0; i < points; ++i) {
    const double angle = turn + 2 * std::numbers::pi * static_cast<double>(i) / static_cast<double>(points);
    corners.push_back(on_circle(centre, i % 2 == 1 ? radius * waist : radius, angle));
  }
  return corners;
}

constexpr double kCircle = 0.9;  // its radius, as a share of the shape's

// Of a shape that is no circle, in the lengths of `centre` and `radius`.
std::vector<Point> corners_of(size_t kind, Point centre, double radius) {
  switch (kind) {
    case 1:
      return star_shape(centre, radius, 4, 1, std::numbers::pi / 4);
    case 2:
      return star_shape(centre, radius, 3, 1);
    case 3:
      return star_shape(centre, radius, 10, 0.42);
    default:
      return star_shape(centre, radius, 6, 1);
  }
}

void draw_shape(Page& page, const Shape& shape) {
  const Point centre = {page.part(shape.centre.x), page.part(shape.centre.y)};
  const double radius = page.part(shape.radius);
  const Colour colour = kNamedColours[shape.colour].colour;
  if (shape.kind == 0) return page.canvas().circle(centre, radius * kCircle, colour);
  page.canvas().polygon(corners_of(shape.kind, centre, radius), colour);
}

// Of what is drawn of it, which for triangles and stars is not around the centre.
Box ink_of(const Shape& shape) {
  const auto [x, y] = shape.centre;
  if (shape.kind == 0) {
    const double radius = shape.radius * kCircle;
    return {x - radius, y - radius, x + radius, y + radius};
  }
  Box box = {x, y, x, y};
  for (const Point& corner : corners_of(shape.kind, shape.centre, shape.radius)) {
    box.left = std::min(box.left, corner.x);
    box.right = std::max(box.right, corner.x);
    box.top = std::min(box.top, corner.y);
    box.bottom = std::max(box.bottom, corner.y);
  }
  return box;
}

// Apart from each other, and no two of them at nearly the same height or side.
std::vector<Shape> scatter(Random& random, size_t count, int size) {
  const double least = std::max(0.055, kLeastRadiusPixels / size), most = std::max(0.1, 1.2 * least);
  std::vector<Shape> shapes;
  for (int tries = 0; shapes.size() < count && tries < 4000; ++tries) {
    const double radius = least + (most - least) * random.uniform();
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

struct Scene {
  std::vector<Shape> shapes;
  double plain = 0;  // the least distance, a share of the side, that is seen without measuring
};

Question ask_number(Random& random, const Scene& scene) {
  const std::vector<Shape>& shapes = scene.shapes;
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

// A direction in which one shape lies behind another.
struct Direction {
  const char* place;
  const char* relation;
  bool sideways;
  double sign;  // 1: towards greater x or y

  double centre(const Shape& shape) const { return sign * (sideways ? shape.centre.x : shape.centre.y); }
  // Of the ink: where it ends in this direction, and where it begins.
  double front(const Shape& shape) const { return edge(shape, sign > 0); }
  double back(const Shape& shape) const { return edge(shape, sign < 0); }

 private:
  double edge(const Shape& shape, bool greater) const {
    const Box ink = ink_of(shape);
    return sign * (sideways ? (greater ? ink.right : ink.left) : (greater ? ink.bottom : ink.top));
  }
};

constexpr std::array<Direction, 4> kDirections = {{{"farthest to the left", "to the left of", true, -1},
                                                   {"farthest to the right", "to the right of", true, 1},
                                                   {"at the very top", "above", false, -1},
                                                   {"at the very bottom", "below", false, 1}}};

// Of a shape whose edge and whose centre both lie plainly farther than any other's.
Question ask_place(Random& random, const Scene& scene) {
  struct Found {
    const Direction* direction;
    const Shape* shape;
  };
  std::vector<Found> found;
  for (const Direction& direction : kDirections) {
    for (const Shape& shape : scene.shapes) {
      const bool is_farthest = std::ranges::all_of(scene.shapes, [&](const Shape& other) {
        return &other == &shape || (direction.front(shape) >= direction.front(other) + scene.plain &&
                                    direction.centre(shape) >= direction.centre(other) + scene.plain);
      });
      if (is_farthest) found.push_back({&direction, &shape});
    }
  }
  if (found.empty()) return ask_number(random, scene);
  const auto [direction, shape] = pick(random, found);
  const std::string where = direction->place;
  switch (random.below(3)) {
    case 0:
      return {"Which colour has the shape " + where + "?", kNamedColours[shape->colour].name};
    case 1:
      return {"What kind of shape is " + where + "?", kShapeNames[shape->kind]};
    default:
      return {"Which shape is " + where + "? Name its colour and kind.", called(*shape)};
  }
}

// About a shape of which there is one of its kind, or by colour; nothing if there is none.
Question ask_only(Random& random, const Scene& scene) {
  const std::vector<Shape>& shapes = scene.shapes;
  for (const Shape& shape : shapes) {
    if (std::ranges::count(shapes, shape.kind, &Shape::kind) == 1) {
      return {std::string("Which colour has the ") + kShapeNames[shape.kind] + "?", kNamedColours[shape.colour].name};
    }
    if (std::ranges::count(shapes, shape.colour, &Shape::colour) == 1) {
      return {std::string("What kind of shape is the ") + kNamedColours[shape.colour].name + " one?",
              kShapeNames[shape.kind]};
    }
  }
  return ask_number(random, scene);
}

// Is one shape, the only one of its colour and kind, beside another one? Of two that no line across the direction
// meets both.
Question ask_relation(Random& random, const Scene& scene) {
  struct Pair {
    const Direction* direction;
    const Shape *farther, *other;
  };
  const auto is_unique = [&](const Shape& shape) {
    return std::ranges::count(scene.shapes, called(shape), called) == 1;
  };
  std::vector<Pair> pairs;
  for (const Shape& farther : scene.shapes) {
    for (const Shape& other : scene.shapes) {
      if (!is_unique(farther) || !is_unique(other)) continue;
      for (const Direction& direction : kDirections) {
        if (direction.back(farther) >= direction.front(other) + scene.plain)
          pairs.push_back({&direction, &farther, &other});
      }
    }
  }
  if (pairs.empty()) return ask_number(random, scene);
  const auto [direction, farther, other] = pick(random, pairs);
  const bool is_so = chance(random, 0.5);
  const Shape &one = is_so ? *farther : *other, &two = is_so ? *other : *farther;
  return {"Is the " + called(one) + " " + direction->relation + " the " + called(two) + "?", is_so ? "Yes" : "No"};
}

}  // namespace

Picture make_shapes(Random& random, int size) {
  const auto most = std::clamp<int64_t>(size / 30, 4, 10);
  const auto count = static_cast<size_t>(number_between(random, 2, most));
  const Scene scene = {scatter(random, count, size), std::max(kPlainDistance, kPlainDistancePixels / size)};
  const std::vector<Shape>& shapes = scene.shapes;
  std::string content;
  for (const Shape& shape : shapes) {
    // To a hundredth of the side: as near as somebody would call the same picture.
    content += called(shape) + " " + std::to_string(static_cast<int>(shape.centre.x * 100)) + " " +
               std::to_string(static_cast<int>(shape.centre.y * 100)) + "\n";
  }
  using Form = Question (*)(Random&, const Scene&);
  static constexpr std::array<Form, 5> kForms = {ask_number, ask_number, ask_place, ask_only, ask_relation};
  return {.content = content,
          .ask = [scene](Random& choice) { return pick(choice, kForms)(choice, scene); },
          .draw =
              [shapes = scene.shapes](Page& page, Random&) {
                for (const Shape& shape : shapes) draw_shape(page, shape);
              }};
}

}  // namespace phial::data
