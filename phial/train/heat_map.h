// Shares over two quantities, as a picture in a page: a rectangle each, the fuller the nearer to 1, and its number.
//
// Threads: pure functions.
#pragma once

#include <string>
#include <vector>

namespace phial::train {

struct HeatMap {
  std::string label = {};              // what a person who does not see it is told; HTML, as all texts here
  std::string across = {}, down = {};  // what columns and rows are
  std::vector<std::string> columns = {}, rows = {};
  std::vector<std::vector<double>> shares = {};  // [column][row], in [0, 1]; below 0: there is none
};

// One <svg> element.
std::string heat_map_svg(const HeatMap& map);

// CSS for the page that the pictures stand in, beside kCurvePlotStyle (train/curve_plot.h).
inline constexpr const char* kHeatMapStyle =
    ".heat{display:block;width:100%;height:auto;font:13px system-ui,sans-serif}.heat text{fill:var(--soft);text-anchor:"
    "middle}.heat .cell{fill:var(--line);stroke:var(--grid)}.heat .value{fill:var(--ink)}.heat .row{text-anchor:end}";

}  // namespace phial::train
