#include <algorithm>

#include "phial/data/pick.h"
#include "phial/data/pictures/figures.h"

namespace phial::data {

Picture make_geometry(Random& random, int size) {
  return chance(random, 0.5) ? make_scattered_shapes(random, size) : make_measured_figure(random);
}

}  // namespace phial::data
