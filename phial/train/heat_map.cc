#include "phial/train/heat_map.h"

#include "phial/base/decimal.h"

namespace phial::train {
namespace {

constexpr double kMapLeft = 70, kMapTop = 8, kCellWidth = 74, kCellHeight = 34, kMapFoot = 44;
constexpr double kFullest = 0.75;  // so that the number can be read

std::string map_text(const char* kind, double x, double y, const std::string& words) {
  return std::string("<text class=\"") + kind + "\" x=\"" + decimal("%.1f", x) + "\" y=\"" + decimal("%.1f", y) +
         "\">" + words + "</text>";
}

std::string cell_svg(double x, double y, double share) {
  const std::string fullness = decimal("%.3f", share < 0 ? 0 : kFullest * share);
  return "<rect class=\"cell\" x=\"" + decimal("%.1f", x) + "\" y=\"" + decimal("%.1f", y) + "\" width=\"" +
         decimal("%.1f", kCellWidth) + "\" height=\"" + decimal("%.1f", kCellHeight) + "\" fill-opacity=\"" + fullness +
         "\"/>" +
         map_text("value", x + kCellWidth / 2, y + kCellHeight / 2 + 4.5,
                  share < 0 ? "–" : decimal("%.0f", 100 * share));
}

}  // namespace

std::string heat_map_svg(const HeatMap& map) {
  const double width = kMapLeft + kCellWidth * static_cast<double>(map.columns.size()) + 8;
  const double bottom = kMapTop + kCellHeight * static_cast<double>(map.rows.size());
  std::string out = "<svg class=\"heat\" viewBox=\"0 0 " + decimal("%.0f", width) + " " +
                    decimal("%.0f", bottom + kMapFoot) + "\" role=\"img\" aria-label=\"" + map.label + "\">";
  for (size_t c = 0; c < map.columns.size(); ++c) {
    const double x = kMapLeft + kCellWidth * static_cast<double>(c);
    for (size_t r = 0; r < map.rows.size(); ++r) {
      out += cell_svg(x, kMapTop + kCellHeight * static_cast<double>(r), map.shares[c][r]);
    }
    out += map_text("column", x + kCellWidth / 2, bottom + 18, map.columns[c]);
  }
  for (size_t r = 0; r < map.rows.size(); ++r) {
    out += map_text("row", kMapLeft - 8, kMapTop + kCellHeight * (static_cast<double>(r) + 0.5) + 4.5, map.rows[r]);
  }
  out += map_text("row", kMapLeft - 8, bottom + 18, map.down);
  return out + map_text("across", (kMapLeft + width) / 2, bottom + 38, map.across) + "</svg>\n";
}

}  // namespace phial::train
