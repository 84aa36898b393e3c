#include "phial/train/curve_plot.h"

#include <algorithm>
#include <cmath>

#include "phial/base/decimal.h"

namespace phial::train {
namespace {

constexpr double kWidth = 480, kHeight = 270;
constexpr double kLeft = 54, kRight = 464, kTop = 10, kBottom = 226;
constexpr size_t kMostPoints = 1000;
constexpr double kSmallestValue = 1 / kLargestValue;  // below it is zero
constexpr double kRounding = 1e-6;                    // of the distance between two ticks
constexpr size_t kFewPoints = 60;                     // each is marked

std::string pixels(double value) { return decimal("%.1f", value); }

// Values between `low` and `high` onto pixels between `from` and `to`.
struct ValueAxis {
  double low = 0, high = 1, from = 0, to = 1;
  bool is_logarithmic = false;
  std::vector<double> ticks = {};

  double place(double value) const {
    const double share = is_logarithmic ? std::log(value / low) / std::log(high / low) : (value - low) / (high - low);
    return from + (to - from) * share;
  }
};

struct ValueRange {
  double low, high;
};

// The smallest of 1, 2 and 5 times a power of ten that cuts `span` into six pieces at most.
double tick_distance(double span) {
  const double power = std::pow(10, std::floor(std::log10(span / 6)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (span <= (6 + kRounding) * factor * power) return factor * power;
  }
  return 10 * power;
}

// Multiples of `distance` from `low` to `high`.
std::vector<double> multiples(double distance, double low, double high) {
  std::vector<double> out;
  const double last = std::floor(high / distance + kRounding);
  for (double i = std::ceil(low / distance - kRounding); i <= last; ++i) out.push_back(i * distance);
  return out;
}

ValueAxis step_axis(double first, double last) {
  last = std::max(last, first + 1);
  return {first, last, kLeft, kRight, false, multiples(std::max(1.0, tick_distance(last - first)), first, last)};
}

// From a tick to a tick, around the values.
ValueAxis linear_axis(ValueRange values) {
  const double size = std::max(std::fabs(values.low), std::fabs(values.high));
  if (size < kSmallestValue || values.high - values.low <= 1e-6 * size) {  // a constant
    const double room = size < kSmallestValue ? 1 : size / 10;
    values = {values.low - room, values.high + room};
  }
  const double distance = tick_distance(values.high - values.low);
  const auto ticks = multiples(distance, std::floor(values.low / distance + kRounding) * distance,
                               std::ceil(values.high / distance - kRounding) * distance);
  return {ticks.front(), ticks.back(), kBottom, kTop, false, ticks};
}

// Ticks at powers of ten; at 2 and 5 times them as well where they are few.
ValueAxis logarithmic_axis(ValueRange values) {
  const int first = static_cast<int>(std::floor(std::log10(values.low)));
  const int last = static_cast<int>(std::ceil(std::log10(values.high)));
  std::vector<double> ticks;
  for (int exponent = first; exponent <= last; ++exponent) {
    ticks.push_back(std::pow(10, exponent));
    if (last - first > 3) continue;
    for (const double factor : {2.0, 5.0}) ticks.push_back(factor * std::pow(10, exponent));
  }
  // Those around the values.
  while (ticks.size() > 2 && ticks[1] <= values.low) ticks.erase(ticks.begin());
  while (ticks.size() > 2 && ticks[ticks.size() - 2] >= values.high) ticks.pop_back();
  ValueAxis axis = {ticks.front(), ticks.back(), kBottom, kTop, true};
  for (size_t i = 0; i < ticks.size(); i += (ticks.size() - 1) / 9 + 1) axis.ticks.push_back(ticks[i]);
  return axis;
}

ValueAxis value_axis(const CurvePlot& plot, ValueRange values) {
  if (plot.scale == ValueScale::kLogarithmic && values.low >= kSmallestValue) return logarithmic_axis(values);
  if (plot.scale == ValueScale::kFromZero) return linear_axis({std::min(0.0, values.low), std::max(0.0, values.high)});
  return linear_axis(values);
}

// "0.5M" among numbers as large as `like`.
std::string tick_text(double value, double like) {
  if (value == 0) return "0";
  const double size = std::fabs(like);
  if (size < 1e-2 || size >= 1e12) {
    const double exponent = std::floor(std::log10(size) + 1e-9);
    return decimal("%.10g", value / std::pow(10, exponent)) + "e" + decimal("%.0f", exponent);
  }
  if (size >= 1e9) return decimal("%.10g", value / 1e9) + "G";
  if (size >= 1e6) return decimal("%.10g", value / 1e6) + "M";
  if (size >= 1e4) return decimal("%.10g", value / 1e3) + "k";
  return decimal("%.10g", value);
}

std::string tick_text(double value, const ValueAxis& axis) {
  return tick_text(value, axis.is_logarithmic ? value : std::max(std::fabs(axis.low), std::fabs(axis.high)));
}

std::string grid_line(double x1, double y1, double x2, double y2) {
  return "<line class=\"grid\" x1=\"" + pixels(x1) + "\" y1=\"" + pixels(y1) + "\" x2=\"" + pixels(x2) + "\" y2=\"" +
         pixels(y2) + "\"/>";
}

std::string words_at(double x, double y, const char* anchor, const std::string& words) {
  return "<text x=\"" + pixels(x) + "\" y=\"" + pixels(y) + "\" text-anchor=\"" + anchor + "\">" + words + "</text>";
}

std::string axes_svg(const CurvePlot& plot, const ValueAxis& x, const ValueAxis& y) {
  std::string out;
  const auto across = [&](double step, const std::string& words) {
    out += grid_line(x.place(step), kTop, x.place(step), kBottom);
    out += words_at(x.place(step), kBottom + 18, "middle", words);
  };
  for (const CurveTick& tick : plot.ticks) across(tick.step, tick.words);
  if (plot.ticks.empty()) {
    for (const double tick : x.ticks) across(tick, tick_text(tick, x));
  }
  for (const double tick : y.ticks) {
    out += grid_line(kLeft, y.place(tick), kRight, y.place(tick));
    out += words_at(kLeft - 8, y.place(tick) + 4.5, "end", tick_text(tick, y));
  }
  return out + words_at((kLeft + kRight) / 2, kHeight - 6, "middle", plot.across);
}

std::string curve_svg(const Curve& curve, const ValueAxis& x, const ValueAxis& y) {
  std::string line, points;
  const auto kept = thin_out(curve.points, kMostPoints);
  for (const CurvePoint& point : kept) {
    const std::string place = pixels(x.place(point.step)) + " " + pixels(y.place(point.value));
    line += (line.empty() ? "M" : "L") + place;
    points += "M" + place + "h0";
  }
  const auto path = [&](const char* more, const std::string& shape) {
    return "<path class=\"" + curve.kind + more + "\" d=\"" + shape + "\"/>";
  };
  return path("", line) + (kept.size() <= kFewPoints ? path(" points", points) : "");
}

}  // namespace

std::vector<CurvePoint> thin_out(std::span<const CurvePoint> points, size_t most_points) {
  if (points.size() <= most_points) return {points.begin(), points.end()};
  const size_t buckets = most_points / 2;
  std::vector<CurvePoint> out;
  for (size_t i = 0; i < buckets; ++i) {
    const size_t begin = i * points.size() / buckets, end = (i + 1) * points.size() / buckets;
    const auto bucket = points.subspan(begin, end - begin);
    auto [first, second] = std::ranges::minmax_element(bucket, {}, &CurvePoint::value);
    if (second < first) std::swap(first, second);
    out.push_back(*first);
    out.push_back(*second);
  }
  return out;
}

std::vector<CurvePoint> exponential_average(std::span<const CurvePoint> points, int64_t reach) {
  const double kept = std::exp(-1 / static_cast<double>(reach));
  std::vector<CurvePoint> out(points.begin(), points.end());
  std::vector<double> weights(points.size());
  double sum = 0, weight = 0;
  for (size_t i = 0; i < points.size(); ++i) {
    out[i].value = sum = kept * sum + points[i].value;
    weights[i] = weight = kept * weight + 1;
  }
  sum = weight = 0;
  for (size_t i = points.size(); i-- > 0;) {
    out[i].value = (out[i].value + kept * sum) / (weights[i] + kept * weight);
    sum = kept * sum + points[i].value;
    weight = kept * weight + 1;
  }
  return out;
}

std::string curve_plot_svg(const CurvePlot& plot) {
  std::vector<double> values;
  for (const Curve& curve : plot.curves) {
    for (const CurvePoint& point : curve.points) values.push_back(point.value);
  }
  if (values.empty()) return "";
  const auto [low, high] = std::ranges::minmax(values);
  const ValueAxis x = step_axis(plot.first_step, plot.last_step), y = value_axis(plot, {low, high});
  std::string out = "<svg class=\"curves\" viewBox=\"0 0 " + pixels(kWidth) + " " + pixels(kHeight) +
                    "\" role=\"img\" aria-label=\"" + plot.label + "\">" + axes_svg(plot, x, y);
  for (const Curve& curve : plot.curves) out += curve_svg(curve, x, y);
  return out + "</svg>\n";
}

}  // namespace phial::train
