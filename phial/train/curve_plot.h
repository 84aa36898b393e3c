// Curves over the steps of a run, as a picture in a page: axes with round numbers, lines, and points where they are
// few.
//
// Values are within kLargestValue of zero and steps at most kLastStep, so that spans and ticks are counted without
// overflow. Threads: pure functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace phial::train {

inline constexpr double kLargestValue = 1e100;
inline constexpr int64_t kLastStep = 1'000'000'000'000;

struct CurvePoint {
  double step = 0, value = 0;
};

struct Curve {
  std::string kind;  // a class of kCurvePlotStyle: "line", "faint", "thick", "held-out"; or of the page's own CSS
  std::vector<CurvePoint> points;
};

// kLogarithmic is linear where a value is not positive.
enum class ValueScale { kLinear, kFromZero, kLogarithmic };

struct CurveTick {
  double step = 0;
  std::string words;  // HTML
};

struct CurvePlot {
  std::string label = {};             // what a person who does not see it is told; HTML
  std::string across = "step";        // what the steps are; HTML
  std::vector<CurveTick> ticks = {};  // where that is told; none: at round numbers
  double first_step = 0, last_step = 0;
  ValueScale scale = ValueScale::kLinear;
  std::vector<Curve> curves = {};
};

// At most `most_points`: the lowest and the highest of every bucket of neighbours, in their order.
std::vector<CurvePoint> thin_out(std::span<const CurvePoint> points, size_t most_points);

// The mean around every point. Weights fall exponentially to both sides, to 1/e at `reach` points away, so that the
// mean of a falling curve does not lag behind it.
std::vector<CurvePoint> exponential_average(std::span<const CurvePoint> points, int64_t reach);

// One <svg> element; empty if no curve has a point. Every curve is thinned out to 1,000 points.
std::string curve_plot_svg(const CurvePlot& plot);

// CSS for the page that the pictures stand in, light or dark as the reader has it.
inline constexpr const char* kCurvePlotStyle =
    ":root{--back:#fff;--ink:#1f2328;--soft:#59636e;--grid:#e4e8ec;--faint:#a9cdf0;--line:#1a6fc4;--held-out:#b8500a}"
    "@media(prefers-color-scheme:dark){:root{--back:#14171a;--ink:#e6e9ed;--soft:#9aa4af;--grid:#2c3238;"
    "--faint:#3a6490;--line:#6cb2ff;--held-out:#ff9d57}}"
    ".curves{display:block;width:100%;height:auto;overflow:visible;font:13px system-ui,sans-serif}"
    "@media(max-width:600px){.curves{font-size:15px}}.curves text{fill:var(--soft)}"
    ".curves .grid{stroke:var(--grid)}.curves path{fill:none;stroke-linejoin:round;stroke-linecap:round}"
    ".curves .line{stroke:var(--line);stroke-width:1.25}.curves .faint{stroke:var(--faint);stroke-width:1}"
    ".curves .thick{stroke:var(--line);stroke-width:2}.curves .held-out{stroke:var(--held-out);stroke-width:1.25}"
    ".curves path.points{stroke-width:5}";

}  // namespace phial::train
