#include "phial/cli/roofline.h"

#include <algorithm>
#include <cmath>
#include <string_view>
#include <vector>

#include "phial/base/decimal.h"

namespace phial::cli {
namespace {

constexpr double kWidth = 760, kHeight = 440;
constexpr double kLeft = 64, kRight = 740, kTop = 24, kBottom = 384;
constexpr double kLineHeight = 16;

constexpr const char* kStyle =
    "<style>"
    ".roofline{--back:#fff;--ink:#1f2328;--soft:#59636e;--grid:#e4e8ec;--decode:#1a6fc4;--prompt:#b8500a;"
    "font:12px system-ui,sans-serif}"
    "@media(prefers-color-scheme:dark){.roofline{--back:#14171a;--ink:#e6e9ed;--soft:#9aa4af;--grid:#2c3238;"
    "--decode:#6cb2ff;--prompt:#ff9d57}}"
    ".roofline .back{fill:var(--back)}.roofline text{fill:var(--soft)}.roofline .name{fill:var(--ink)}"
    ".roofline .grid{stroke:var(--grid)}.roofline .roof{stroke:var(--ink);stroke-width:2;fill:none}"
    ".roofline .lead{stroke:var(--soft);stroke-width:.75}"
    ".roofline .decode{fill:var(--decode)}.roofline .prompt{fill:var(--prompt)}"
    "</style>";

std::string number(double value) { return decimal("%.1f", value); }

std::string power_text(double value) { return decimal(value < 1 ? "%.3g" : "%.0f", value); }

// A logarithmic axis: values between `low` and `high` onto pixels between `from` and `to`.
struct Axis {
  double low, high, from, to;
  double operator()(double value) const { return from + (to - from) * (std::log(value / low) / std::log(high / low)); }
};

struct Point {
  double intensity, gops;
  std::string label;
};

class Plot {
 public:
  explicit Plot(const BenchReport& report) : report_(report), read_gbps_(report.read_gbps()) {
    for (const BenchRun& run : report.runs) {
      const auto bytes = static_cast<double>(report.token_bytes(run));
      const std::string depth = std::to_string(run.depth) + " before, ";
      if (run.token_ms > 0) {
        decode_.push_back({report.work.decode_operations() / bytes, report.decode_gops(run),
                           depth + figure_text(report.decode_tps(run)) + " tokens/s"});
      }
      if (run.prefill_ms > 0) {
        prompt_.push_back({report.work.prompt_operations(report.prompt) / bytes, report.prefill_gops(run),
                           depth + figure_text(report.prefill_tps(run)) + " tokens/s"});
      }
    }
    const double ridge = report.int8_gops / read_gbps_;
    double left = ridge, right = ridge, low = report.int8_gops;
    for (const auto* points : {&decode_, &prompt_}) {
      for (const Point& point : *points) {
        left = std::min(left, point.intensity);
        right = std::max(right, point.intensity);
        low = std::min(low, point.gops);
      }
    }
    x_ = {std::exp2(std::floor(std::log2(left) - 1)), std::exp2(std::ceil(std::log2(right) + 1)), kLeft, kRight};
    y_ = {low / 4, report.int8_gops * 2, kBottom, kTop};
  }

  std::string svg() {
    out_ = "<svg class=\"roofline\" xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 " + number(kWidth) + " " +
           number(kHeight) + "\" role=\"img\" aria-label=\"Roofline: operations a byte, operations a second\">" +
           kStyle + "<rect class=\"back\" width=\"100%\" height=\"100%\"/>";
    axes();
    roof();
    group(decode_, "decode", "decode: one token", true);
    group(prompt_, "prompt", "prompt: " + std::to_string(report_.prompt) + " tokens at once", false);
    return out_ + "</svg>\n";
  }

 private:
  void line(const char* kind, double x1, double y1, double x2, double y2) {
    out_ += std::string("<line class=\"") + kind + "\" x1=\"" + number(x1) + "\" y1=\"" + number(y1) + "\" x2=\"" +
            number(x2) + "\" y2=\"" + number(y2) + "\"/>";
  }
  void text(double x, double y, const char* anchor, std::string_view words, const std::string& more = "") {
    out_ += "<text x=\"" + number(x) + "\" y=\"" + number(y) + "\" text-anchor=\"" + anchor + "\"" + more + ">" +
            std::string(words) + "</text>";
  }

  void axes() {
    for (double at = x_.low; at <= x_.high * 1.001; at *= 4) {
      line("grid", x_(at), kTop, x_(at), kBottom);
      text(x_(at), kBottom + 18, "middle", power_text(at));
    }
    for (double at = std::pow(10, std::ceil(std::log10(y_.low))); at <= y_.high; at *= 10) {
      line("grid", kLeft, y_(at), kRight, y_(at));
      text(kLeft - 8, y_(at) + 4, "end", power_text(at));
    }
    text((kLeft + kRight) / 2, kHeight - 14, "middle",
         "operations a byte that must be read (weights once, keys and values)");
    const std::string middle = number((kTop + kBottom) / 2);
    text(16, (kTop + kBottom) / 2, "middle", "GOPS", " transform=\"rotate(-90 16 " + middle + ")\"");
  }

  void roof() {
    const double peak = report_.int8_gops, ridge = peak / read_gbps_;
    // Where the slope enters the picture: at its left or at its lower border.
    const double first = std::max(x_.low, y_.low / read_gbps_);
    out_ += "<polyline class=\"roof\" points=\"" + number(x_(first)) + "," + number(y_(first * read_gbps_)) + " " +
            number(x_(ridge)) + "," + number(y_(peak)) + " " + number(kRight) + "," + number(y_(peak)) + "\"/>";
    text(kRight - 4, y_(peak) - 8, "end", "8-bit peak " + figure_text(peak) + " GOPS", " class=\"name\"");
    const double angle = std::atan2(y_(peak) - y_(first * read_gbps_), x_(ridge) - x_(first)) * 180 / 3.14159265358979;
    const double at = std::sqrt(first * ridge);
    const double x = x_(at), y = y_(at * read_gbps_);
    text(x, y - 8, "middle", "memory " + figure_text(read_gbps_) + " GB/s",
         " class=\"name\" transform=\"rotate(" + number(angle) + " " + number(x) + " " + number(y) + ")\"");
  }

  // Points with their labels in a column beside them, one below the other however close the points are.
  void group(std::vector<Point> points, const char* kind, const std::string& name, bool labels_right) {
    if (points.empty()) return;
    std::ranges::sort(points, [](const Point& a, const Point& b) { return a.gops > b.gops; });
    double edge = labels_right ? kLeft : kRight, lowest = kTop, middle = 0;
    for (const Point& point : points) {
      const double x = x_(point.intensity);
      edge = labels_right ? std::max(edge, x + 28) : std::min(edge, x - 28);
      middle += y_(point.gops) / static_cast<double>(points.size());
      lowest = std::max(lowest, y_(point.gops));
    }
    const double height = kLineHeight * static_cast<double>(points.size());
    // A little below the points, where no roof runs.
    double y = std::clamp(middle + kLineHeight, kTop + kLineHeight, kBottom - height);
    const char* anchor = labels_right ? "start" : "end";
    text(edge, y, anchor, name, " class=\"name\"");
    for (const Point& point : points) {
      y += kLineHeight;
      const double x = x_(point.intensity), at = y_(point.gops);
      line("lead", x, at, edge + (labels_right ? -5 : 5), y - 4);
      out_ +=
          std::string("<circle class=\"") + kind + "\" cx=\"" + number(x) + "\" cy=\"" + number(at) + "\" r=\"5\"/>";
      text(edge, y, anchor, point.label);
    }
  }

  const BenchReport& report_;
  double read_gbps_;
  std::vector<Point> decode_, prompt_;
  Axis x_{}, y_{};
  std::string out_;
};

}  // namespace

std::string roofline_svg(const BenchReport& report) {
  const bool was_probed = report.int8_gops > 0 && report.read_gbps() > 0;
  return was_probed ? Plot(report).svg() : "";
}

}  // namespace phial::cli
