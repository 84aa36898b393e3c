// The two sorts of geometry: coloured shapes to find and count, and figures with lengths and angles to reckon with.
#pragma once

#include "phial/data/pictures/picture.h"

namespace phial::data {

Picture make_scattered_shapes(Random& random, int size);
// Rectangles, squares, right-angled triangles, circles, and triangles with marked angles; all answers are whole
// numbers.
Picture make_measured_figure(Random& random);

}  // namespace phial::data
