#include <algorithm>
#include <numbers>

#include "phial/data/pick.h"
#include "phial/data/pictures/series.h"

namespace phial::data {
namespace {

struct PieLook {
  bool has_shares = true;   // each slice's share is written
  bool has_legend = false;  // names beside the pie, by colour; else around it
  bool is_ring = false;
};

// Shares of 100 that differ by at least `apart`, none below `least`.
std::vector<int64_t> different_shares(Random& random, size_t count, int64_t least, int64_t apart) {
  std::vector<int64_t> shares(count, 0);
  int64_t left = 100;
  for (size_t i = 0; i < count; ++i) {
    shares[i] = least + static_cast<int64_t>(i) * apart;
    left -= shares[i];
  }
  // What a share gets, all larger ones get too: the order and the distances stay.
  for (size_t i = 0; left > 0; i = random.below(count)) {
    const auto above = static_cast<int64_t>(count - i);
    if (above > left) continue;
    for (size_t j = i; j < count; ++j) ++shares[j];
    left -= above;
  }
  shuffle(random, shares);
  return shares;
}

Series make_shares(Random& random, int count, bool has_shares) {
  Series series = make_series(random, count, Names::kAny, true);
  series.format = {};
  series.format.after = "%";
  series.step = 10;
  series.steps = 5;
  series.values =
      different_shares(random, series.names.size(), has_shares ? 5 : 6, has_shares ? 1 : (count > 4 ? 5 : 7));
  return series;
}

void draw_legend(Page& page, const Series& series, double left, double top) {
  const double height = page.text_height(), line = height * 2;
  for (size_t i = 0; i < series.names.size(); ++i) {
    const double base = top + line * (static_cast<double>(i) + 0.5);
    page.canvas().rectangle({left, base - height, left + height, base}, page.style().palette[i]);
    page.text({left + 1.6 * height, base}, Side::kLeft, series.names[i], page.style().ink);
  }
}

void draw_pie(Page& page, Random& layout, const Series& series, const PieLook& look) {
  const double height = page.text_height(), edge = std::max(4.0, page.part(0.02));
  Box room = {edge, edge, page.size() - edge, page.size() - edge};
  if (!series.title.empty()) {
    room.top += page.text_height(1.15);
    page.text({page.size() / 2, room.top}, Side::kMiddle, series.title, page.style().ink, 1.15);
    room.top += height;
  }
  double widest = 0;
  for (const std::string& name : series.names) widest = std::max(widest, page.text_width(name));
  if (look.has_legend) {
    room.right -= widest + 3.2 * height;
    draw_legend(page, series, room.right + 1.2 * height,
                (room.top + room.bottom) / 2 - height * static_cast<double>(series.names.size()));
  } else {
    room = {room.left + widest + height, room.top + 1.6 * height, room.right - widest - height,
            room.bottom - 1.6 * height};
  }
  const Point centre = {(room.left + room.right) / 2, (room.top + room.bottom) / 2};
  const double radius = std::min(room.width(), room.height()) / 2;
  if (radius < page.part(0.17)) return page.give_up();  // too small to see which slice is larger
  const double around = 2 * std::numbers::pi;
  double from = chance(layout, 0.5) ? 0 : around * layout.uniform();
  for (size_t i = 0; i < series.values.size(); ++i) {
    const double to = from + around * static_cast<double>(series.values[i]) / 100;
    page.canvas().sector(centre, radius, from, to, page.style().palette[i]);
    from = to;
  }
  if (look.is_ring) page.canvas().circle(centre, radius * 0.45, page.style().paper);
  for (size_t i = 0; i < series.values.size(); ++i) {
    const double to = from + around * static_cast<double>(series.values[i]) / 100;
    // Between slices a line in the colour of the paper.
    page.canvas().line(on_circle(centre, look.is_ring ? radius * 0.44 : 0, from), on_circle(centre, radius + 0.5, from),
                       page.style().line, page.style().paper);
    const double middle = (from + to) / 2;
    if (look.has_shares) {
      page.text_around(on_circle(centre, radius * (look.is_ring ? 0.72 : 0.68), middle),
                       written(series.values[i], series.format), ink_on(page.style().palette[i]));
    }
    if (!look.has_legend) {
      const Point at = on_circle(centre, radius + height, middle);
      const double sideways = (at.x - centre.x) / radius;
      const Side side = sideways > 0.3 ? Side::kLeft : sideways < -0.3 ? Side::kRight : Side::kMiddle;
      page.text({at.x, at.y + height / 2}, side, series.names[i], page.style().ink);
    }
    from = to;
  }
  // A share that is wider than its slice would be read as its neighbour's.
  if (look.has_shares) {
    const auto least = static_cast<double>(*std::ranges::min_element(series.values));
    const double chord = around * radius * 0.68 * least / 100;
    if (chord < page.text_height() * 1.3 || page.text_width("00%") > radius * 0.6) page.give_up();
  }
}

}  // namespace

Picture make_pie_chart(Random& random, int size) {
  const bool has_shares = chance(random, 0.7);
  const Series series = make_shares(
      random, static_cast<int>(number_between(random, 2, std::clamp(size / 45, 3, has_shares ? 6 : 5))), has_shares);
  const PieLook look = {.has_shares = has_shares, .has_legend = chance(random, 0.5), .is_ring = chance(random, 0.25)};
  return {.content = content_of(series),
          .ask =
              [series, has_shares](Random& choice) {
                return ask_series(choice, series, has_shares ? Asked::kValues : Asked::kOrder, "slice", "pie chart");
              },
          .draw = [series, look](Page& page, Random& layout) { draw_pie(page, layout, series, look); }};
}

}  // namespace phial::data
