#include "phial/train/curve_plot.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

namespace phial::train {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

std::vector<CurvePoint> curve_of(int n, double (*value)(double)) {
  std::vector<CurvePoint> points(static_cast<size_t>(n));
  for (int i = 0; i < n; ++i) points[static_cast<size_t>(i)] = {static_cast<double>(i), value(i)};
  return points;
}

std::string svg_of(std::vector<CurvePoint> points, ValueScale scale) {
  CurvePlot plot = {.label = "a curve", .scale = scale};
  plot.first_step = points.front().step;
  plot.last_step = points.back().step;
  plot.curves.push_back({"line", std::move(points)});
  return curve_plot_svg(plot);
}

// The words beside the axis of values, from the lowest tick.
std::vector<std::string> value_ticks(const std::string& svg) {
  const std::string anchor = "text-anchor=\"end\">";
  std::vector<std::string> out;
  for (size_t at = svg.find(anchor); at != std::string::npos; at = svg.find(anchor, at)) {
    at += anchor.size();
    out.push_back(svg.substr(at, svg.find('<', at) - at));
  }
  return out;
}

TEST(CurvePlot, ThinningKeepsTheLowestAndTheHighestOfEveryBucket) {
  auto points = curve_of(100'000, [](double i) { return std::sin(i); });
  points[12'345].value = 50;
  points[77'777].value = -50;
  const auto kept = thin_out(points, 1000);
  EXPECT_EQ(kept.size(), 1000U);
  EXPECT_TRUE(std::ranges::is_sorted(kept, {}, &CurvePoint::step));
  const auto [low, high] = std::ranges::minmax(kept, {}, &CurvePoint::value);
  EXPECT_EQ(low.step, 77'777);
  EXPECT_EQ(high.step, 12'345);
  EXPECT_EQ(thin_out(std::span(points).first(1000), 1000).size(), 1000U);
}

TEST(CurvePlot, AnAverageDoesNotLagBehindALineNorChangeAConstant) {
  const auto constant = exponential_average(curve_of(50, [](double) { return 3.0; }), 4);
  for (const CurvePoint& point : constant) EXPECT_NEAR(point.value, 3, 1e-12);
  const auto line = exponential_average(curve_of(400, [](double i) { return 2 * i; }), 4);
  for (size_t i = 150; i < 250; ++i) EXPECT_NEAR(line[i].value, 2 * static_cast<double>(i), 1e-9);
}

TEST(CurvePlot, TheWeightOfAPointFallsToOneEthAtTheReach) {
  auto points = curve_of(401, [](double) { return 0.0; });
  points[200].value = 1;
  const auto average = exponential_average(points, 8);
  EXPECT_NEAR(average[208].value / average[200].value, std::exp(-1), 1e-9);
  EXPECT_NEAR(average[192].value / average[200].value, std::exp(-1), 1e-9);
}

TEST(CurvePlot, TicksAreRoundNumbersAroundTheValues) {
  EXPECT_THAT(value_ticks(svg_of({{0, 2.31}, {1, 10.9}}, ValueScale::kLinear)),
              ElementsAre("2", "4", "6", "8", "10", "12"));
  EXPECT_THAT(value_ticks(svg_of({{0, 1e-5}, {1, 3e-4}}, ValueScale::kFromZero)),
              ElementsAre("0", "0.5e-4", "1e-4", "1.5e-4", "2e-4", "2.5e-4", "3e-4"));
  EXPECT_THAT(value_ticks(svg_of({{0, 8192}, {1, 6.5e6}}, ValueScale::kFromZero)),
              ElementsAre("0", "2M", "4M", "6M", "8M"));
  EXPECT_THAT(value_ticks(svg_of({{0, 0.6}, {1, 16}}, ValueScale::kLogarithmic)),
              ElementsAre("0.5", "1", "2", "5", "10", "20"));
  EXPECT_THAT(value_ticks(svg_of({{0, 0.003}, {1, 1500}}, ValueScale::kLogarithmic)),
              ElementsAre("1e-3", "0.01", "0.1", "1", "10", "100", "1000", "10k"));
  EXPECT_THAT(value_ticks(svg_of({{0, -0.4}, {1, -0.1}}, ValueScale::kLogarithmic)),
              ElementsAre("-0.4", "-0.35", "-0.3", "-0.25", "-0.2", "-0.15", "-0.1"));
}

TEST(CurvePlot, StepsHaveWholeTicks) {
  const std::string svg = svg_of({{1, 5}, {2, 6}, {3, 7}}, ValueScale::kLinear);
  EXPECT_THAT(svg, AllOf(HasSubstr(">1</text>"), HasSubstr(">2</text>"), HasSubstr(">3</text>"),
                         Not(HasSubstr(">1.5</text>"))));
}

TEST(CurvePlot, FewPointsAreMarkedAndOneIsSeen) {
  EXPECT_THAT(svg_of({{5, 1.5}}, ValueScale::kLinear), HasSubstr("<path class=\"line points\" d=\"M54.0 118.0h0\"/>"));
  EXPECT_THAT(svg_of(curve_of(100, [](double i) { return i; }), ValueScale::kLinear), Not(HasSubstr("points\"")));
}

TEST(CurvePlot, ACurveWithoutPointsMakesNoPicture) { EXPECT_EQ(curve_plot_svg({.curves = {{"line", {}}}}), ""); }

TEST(CurvePlot, ExtremeValuesHavePlacesInThePicture) {
  const auto last = static_cast<double>(kLastStep);
  for (const ValueScale scale : {ValueScale::kLinear, ValueScale::kFromZero, ValueScale::kLogarithmic}) {
    for (const auto& [low, high] : {std::pair{-9e99, 9e99}, std::pair{5e-324, 9e99}, std::pair{1e-99, 9e99},
                                    std::pair{0.0, 0.0}, std::pair{0.0, 5e-324}, std::pair{1e17, 1e17 + 16}}) {
      for (const auto& [first, end] : {std::pair{0.0, last}, std::pair{last - 1, last}, std::pair{last, last}}) {
        const std::string svg = svg_of({{first, low}, {end, high}}, scale);
        EXPECT_THAT(svg, AllOf(Not(HasSubstr("nan")), Not(HasSubstr("inf")))) << low << " to " << high;
        const size_t ticks = value_ticks(svg).size();
        EXPECT_GE(ticks, 2U) << low << " to " << high;
        EXPECT_LE(ticks, 9U) << low << " to " << high;
      }
    }
  }
}

}  // namespace
}  // namespace phial::train
