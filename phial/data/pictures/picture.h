// What every kind of picture is to render.cc: something that can be asked about, and how to draw it.
#pragma once

#include <functional>
#include <string>

#include "phial/base/random.h"
#include "phial/data/page.h"

namespace phial::data {

struct Question {
  std::string text, answer;
};

struct Picture {
  std::string content;  // all that the picture tells, whatever it looks like: decides whether it is held out
  // One of the questions that it answers; another one, or the same again, the next time.
  std::function<Question(Random& choice)> ask;
  std::function<void(Page& page, Random& layout)> draw;
};

// `size`: pixels a side, which limit how much is shown.
Picture make_bar_chart(Random& random, int size);
Picture make_line_chart(Random& random, int size);
Picture make_pie_chart(Random& random, int size);
Picture make_table(Random& random, int size);
// Coloured shapes to find and count.
Picture make_shapes(Random& random, int size);
// Rectangles, squares, right-angled triangles, circles, and triangles with marked angles: lengths and angles to reckon
// with; all answers are whole numbers.
Picture make_geometry(Random& random, int size);
Picture make_ocr_lines(Random& random, int size);

}  // namespace phial::data
