#include <algorithm>

#include "phial/data/pick.h"
#include "phial/data/pictures/axes.h"

namespace phial::data {
namespace {

void draw_bars(Page& page, Random& layout, const Series& series, const AxesLook& look) {
  const Axes axes = draw_axes(page, layout, series, look);
  const bool many_colours = chance(layout, 0.5), outlined = chance(layout, 0.25);
  const double half = axes.room() * (0.25 + 0.17 * layout.uniform());
  for (size_t i = 0; i < series.values.size(); ++i) {
    const double middle = axes.middle_of(i), end = axes.place_of(series.values[i]);
    const Box bar = look.values_to_the_right ? Box{axes.plot.left, middle - half, end, middle + half}
                                             : Box{middle - half, end, middle + half, axes.plot.bottom};
    const auto& palette = page.style().palette;
    page.canvas().rectangle(bar, palette[many_colours ? i % palette.size() : 0]);
    if (outlined) page.canvas().outline(bar, page.style().line, page.style().ink);
    if (!look.leaves_room_for_values) continue;
    const std::string text = written(series.values[i], series.format);
    const double gap = page.text_height() * 0.5;
    if (look.values_to_the_right) {
      page.text({end + gap, middle + page.text_height() / 2}, Side::kLeft, text, page.style().ink);
    } else {
      page.text({middle, end - gap}, Side::kMiddle, text, page.style().ink);
    }
  }
}

}  // namespace

Picture make_bar_chart(Random& random, int size) {
  const int most = std::clamp(size / 40, 3, 8);
  const bool marked = chance(random, 0.5);
  const int count = static_cast<int>(number_between(random, 2, most));
  const Names names = chance(random, 0.7) ? Names::kAny : Names::kInTime;
  const Series series = make_series(random, count, names, marked);
  const AxesLook look = {.shows_marks = !marked || chance(random, 0.4),
                         .leaves_room_for_values = marked,
                         .values_to_the_right = chance(random, 0.35)};
  return {.content = content_of(series),
          .ask = [series](Random& choice) { return ask_series(choice, series, Asked::kValues, "bar", "bar chart"); },
          .draw = [series, look](Page& page, Random& layout) { draw_bars(page, layout, series, look); }};
}

}  // namespace phial::data
