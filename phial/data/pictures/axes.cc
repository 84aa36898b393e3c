#include "phial/data/pictures/axes.h"

#include <algorithm>

#include "phial/data/pick.h"

namespace phial::data {
namespace {

double widest(const Page& page, const std::vector<std::string>& texts) {
  double width = 0;
  for (const std::string& text : texts) width = std::max(width, page.text_width(text));
  return width;
}

std::vector<std::string> mark_texts(const Series& series) {
  std::vector<std::string> texts;
  for (int i = 0; i <= series.steps; ++i) texts.push_back(written(series.step * i, series.format));
  return texts;
}

void draw_marks(Page& page, const Series& series, const Axes& axes) {
  const auto texts = mark_texts(series);
  const double gap = page.text_height() * 0.6, line = page.style().line;
  for (int i = 0; i <= series.steps; ++i) {
    const double place = axes.place_of(series.step * i);
    const std::string& text = texts[static_cast<size_t>(i)];
    const Box& plot = axes.plot;
    if (axes.look.values_to_the_right) {
      page.canvas().rectangle({place - line / 2, plot.top, place + line / 2, plot.bottom}, page.style().faint);
      page.text({place, plot.bottom + gap + page.text_height()}, Side::kMiddle, text, page.style().ink);
    } else {
      page.canvas().rectangle({plot.left, place - line / 2, plot.right, place + line / 2}, page.style().faint);
      page.text({plot.left - gap, place + page.text_height() / 2}, Side::kRight, text, page.style().ink);
    }
  }
}

void draw_names(Page& page, const Series& series, const Axes& axes, bool upright, double name_width) {
  const double gap = page.text_height() * 0.6;
  for (size_t i = 0; i < series.names.size(); ++i) {
    const double middle = axes.middle_of(i);
    const std::string& name = series.names[i];
    const Colour ink = page.style().ink;
    if (axes.look.values_to_the_right) {
      page.text({axes.plot.left - gap, middle + page.text_height() / 2}, Side::kRight, name, ink);
    } else if (upright) {
      const double own_width = page.text_width(name);
      page.text_upright({middle, axes.plot.bottom + gap + std::min(own_width, name_width) / 2}, name, ink);
    } else {
      page.text({middle, axes.plot.bottom + gap + page.text_height()}, Side::kMiddle, name, ink);
    }
  }
}

void draw_axis(Page& page, const Box& box) {
  page.canvas().rectangle(box, page.style().ink);
  page.keep_free(box);
}

}  // namespace

double Axes::place_of(int64_t value) const {
  const double share = static_cast<double>(value) / static_cast<double>(most);
  return look.values_to_the_right ? plot.left + share * plot.width() : plot.bottom - share * plot.height();
}

double Axes::room() const {
  return (look.values_to_the_right ? plot.height() : plot.width()) / static_cast<double>(count);
}

double Axes::middle_of(size_t i) const {
  return (look.values_to_the_right ? plot.top : plot.left) + (static_cast<double>(i) + 0.5) * room();
}

Axes draw_axes(Page& page, Random& layout, const Series& series, const AxesLook& look) {
  const double height = page.text_height(), gap = height * 0.6, edge = std::max(3.0, page.part(0.02));
  Axes axes{.plot = {edge, edge, page.size() - edge, page.size() - edge},
            .look = look,
            .most = series.most(),
            .count = series.names.size()};
  Box& plot = axes.plot;
  if (!series.title.empty()) {
    const double scale = 1.15;
    plot.top += page.text_height(scale);
    const bool middle = chance(layout, 0.7);
    page.text({middle ? page.size() / 2 : plot.left, plot.top}, middle ? Side::kMiddle : Side::kLeft, series.title,
              page.style().ink, scale);
    plot.top += 1.6 * gap;
  }
  const double name_width = widest(page, series.names);
  const double mark_width = look.shows_marks ? widest(page, mark_texts(series)) : 0;
  const double value_room = look.leaves_room_for_values ? page.text_width(written(series.most(), series.format)) : 0;
  bool upright = false;
  if (look.values_to_the_right) {
    plot.left += name_width + gap;
    plot.right -= std::max({mark_width / 2, look.leaves_room_for_values ? value_room + gap : 0, edge});
    plot.bottom -= look.shows_marks ? height + gap : 0;
  } else {
    plot.left += look.shows_marks ? mark_width + gap : 0;
    plot.top += std::max(look.shows_marks ? height / 2 : 0, look.leaves_room_for_values ? height + gap : 0);
    upright = name_width > axes.room() * 0.9;
    plot.bottom -= (upright ? name_width : height) + gap + 0.2 * height;
  }
  if (look.shows_marks) draw_marks(page, series, axes);
  draw_names(page, series, axes, upright, name_width);
  const double line = page.style().line;
  const bool has_both = chance(layout, 0.6);
  if (has_both || look.values_to_the_right) draw_axis(page, {plot.left - line, plot.top, plot.left, plot.bottom});
  if (has_both || !look.values_to_the_right) {
    draw_axis(page, {plot.left - line, plot.bottom, plot.right, plot.bottom + line});
  }
  return axes;
}

}  // namespace phial::data
