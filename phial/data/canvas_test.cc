#include "phial/data/canvas.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <numbers>

namespace phial::data {
namespace {

// How much of a black canvas a white shape covers, in pixels.
double covered(const Canvas& canvas) {
  double sum = 0;
  for (const uint8_t value : canvas.image().rgb) sum += value;
  return sum / 3 / 255;
}

constexpr Colour kBlack = {0, 0, 0}, kWhite = {255, 255, 255};

TEST(Canvas, ShapesCoverTheirArea) {
  struct Case {
    void (*draw)(Canvas& canvas);
    double area;
  };
  constexpr double kPi = std::numbers::pi;
  const std::array<Case, 7> cases = {{
      {[](Canvas& c) { c.rectangle({3.25, 4.5, 20.75, 9.125}, kWhite); }, 17.5 * 4.625},
      {[](Canvas& c) { c.polygon(std::array<Point, 3>{{{2.3, 3.1}, {40.2, 20.7}, {11.9, 44.4}}}, kWhite); },
       std::abs((40.2 - 2.3) * (44.4 - 3.1) - (11.9 - 2.3) * (20.7 - 3.1)) / 2},
      {[](Canvas& c) { c.line({5.5, 40.2}, {44.1, 7.7}, 2.5, kWhite); }, 2.5 * std::hypot(44.1 - 5.5, 40.2 - 7.7)},
      {[](Canvas& c) { c.circle({25, 25}, 17.3, kWhite); }, kPi * 17.3 * 17.3},
      {[](Canvas& c) { c.ring({25, 25}, 15, 4, kWhite); }, kPi * (17.0 * 17 - 13.0 * 13)},
      {[](Canvas& c) { c.sector({25, 25}, 20, 0.4, 1.9, kWhite); }, 20.0 * 20 * 1.5 / 2},
      {[](Canvas& c) { c.outline({5, 6, 45, 36}, 2, kWhite); }, 40.0 * 30 - 36.0 * 26},
  }};
  for (size_t i = 0; i < cases.size(); ++i) {
    Canvas canvas(50, 50, kBlack);
    cases[i].draw(canvas);
    EXPECT_NEAR(covered(canvas), cases[i].area, cases[i].area * 0.005) << i;
  }
}

TEST(Canvas, AnglesGoClockwiseFromTheTop) {
  const Point right = on_circle({10, 10}, 5, std::numbers::pi / 2);
  EXPECT_NEAR(right.x, 15, 1e-9);
  EXPECT_NEAR(right.y, 10, 1e-9);
}

TEST(Canvas, WhatIsCutAtTheEdgesCoversItsAreaToo) {
  Canvas canvas(10, 8, kBlack);
  // Each leaves a triangle inside: x * 5 / 8 below the first's long side, and its mirror image on the right.
  canvas.polygon(std::array<Point, 3>{{{-3, 1}, {5, 6}, {-3, 6}}}, kWhite);
  EXPECT_NEAR(covered(canvas), 5 * 3.125 / 2, 0.03);
  canvas.polygon(std::array<Point, 3>{{{13, 1}, {5, 6}, {13, 6}}}, kWhite);
  EXPECT_NEAR(covered(canvas), 5 * 3.125, 0.06);
}

TEST(Canvas, WhatLiesOutsideIsLeftOut) {
  Canvas canvas(10, 8, kBlack);
  canvas.rectangle({-5, -5, 4, 3}, kWhite);
  canvas.rectangle({7, 6, 100, 100}, kWhite);
  canvas.circle({200, 200}, 20, kWhite);
  canvas.line({-50, 20}, {-10, -20}, 3, kWhite);
  EXPECT_NEAR(covered(canvas), 4 * 3 + 3 * 2, 0.01);
  canvas.circle({5, 4}, 100, kWhite);
  EXPECT_NEAR(covered(canvas), 80, 0.01);
}

}  // namespace
}  // namespace phial::data
