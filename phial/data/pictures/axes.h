// The frame of a chart whose values stand along one side and whose names stand along the other.
#pragma once

#include "phial/data/pictures/series.h"

namespace phial::data {

struct AxesLook {
  bool shows_marks = true;  // numbers at the axis, and lines across
  bool leaves_room_for_values = false;
  bool values_to_the_right = false;  // names at the left, one below the other; else values upwards
};

struct Axes {
  Box plot;
  AxesLook look;
  int64_t most = 1;
  size_t count = 1;

  // Where a value stands along its side, in pixels.
  double place_of(int64_t value) const;
  // The middle of the i-th name's room, and how wide it is.
  double middle_of(size_t i) const;
  double room() const;
};

// Draws title, axes, marks and names, and says where the values go.
Axes draw_axes(Page& page, Random& layout, const Series& series, const AxesLook& look);

}  // namespace phial::data
