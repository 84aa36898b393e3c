// What pictures are asked about is read out of their content and reckoned again; what charts show is measured on their
// pixels.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <regex>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "phial/data/pictures/number_format.h"
#include "phial/data/pictures/picture.h"

namespace phial::data {
namespace {

using Rows = std::vector<std::vector<std::string>>;

// Lines of fields with tabs between them; of a chart the first line is the title.
Rows rows_of(const std::string& content) {
  Rows rows;
  std::istringstream lines(content);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream fields(line);
    rows.emplace_back();
    for (std::string field; std::getline(fields, field, '\t');) rows.back().push_back(field);
  }
  return rows;
}

// A number as it is written, without what stands around it.
double read_number(std::string text) {
  std::erase(text, ',');
  return std::stod(text.substr(text.find_first_of("0123456789")));
}

bool says(const std::string& question, const std::string& pattern) {
  return std::regex_search(question, std::regex(pattern));
}

// Those of `names` that the question names as whole words, in its order.
std::vector<std::string> named_in(const std::string& question, const std::vector<std::string>& names) {
  std::map<size_t, std::string> found;
  for (const std::string& name : names) {
    std::smatch match;
    if (std::regex_search(question, match, std::regex("\\b" + name + "\\b"))) {
      found[static_cast<size_t>(match.position())] = name;
    }
  }
  std::vector<std::string> in_order;
  for (const auto& [at, name] : found) in_order.push_back(name);
  return in_order;
}

struct Chart {
  std::string title;
  std::vector<std::string> names;
  std::map<std::string, double> values;
};

Chart chart_of(const Picture& picture) {
  const Rows rows = rows_of("\t" + picture.content);
  Chart chart;
  chart.title = picture.content.substr(0, picture.content.find('\n'));
  for (size_t i = 1; i < rows.size(); ++i) {
    chart.names.push_back(rows[i][0]);
    chart.values[rows[i][0]] = read_number(rows[i][1]);
  }
  return chart;
}

std::vector<std::string> largest_first(const Chart& chart) {
  std::vector<std::string> order = chart.names;
  std::ranges::sort(order, [&](const auto& a, const auto& b) { return chart.values.at(a) > chart.values.at(b); });
  return order;
}

// The pixels of some ink: the first and the last one in each direction, and their mean.
struct PixelBox {
  int left = 1 << 20, top = 1 << 20, right = -1, bottom = -1, pixels = 0;
  double middle_x = 0, middle_y = 0;

  void add(int x, int y) {
    left = std::min(left, x);
    right = std::max(right, x);
    top = std::min(top, y);
    bottom = std::max(bottom, y);
    ++pixels;
    middle_x += (x - middle_x) / pixels;
    middle_y += (y - middle_y) / pixels;
  }
};

Colour colour_at(const formats::Image& image, int x, int y) {
  const size_t at = (static_cast<size_t>(y) * static_cast<size_t>(image.width) + static_cast<size_t>(x)) * 3;
  return {image.rgb[at], image.rgb[at + 1], image.rgb[at + 2]};
}

template <class IsInk>
PixelBox box_of(const formats::Image& image, IsInk is_ink) {
  PixelBox box;
  for (int y = 0; y < image.height; ++y) {
    for (int x = 0; x < image.width; ++x) {
      if (is_ink(colour_at(image, x, y))) box.add(x, y);
    }
  }
  return box;
}

// All pixels of the colour at (x, y) that hang together with it.
PixelBox patch_around(const formats::Image& image, int x, int y) {
  const Colour ink = colour_at(image, x, y);
  std::vector<char> seen(image.rgb.size() / 3);
  std::vector<std::pair<int, int>> waiting = {{x, y}};
  PixelBox box;
  while (!waiting.empty()) {
    const auto [right, down] = waiting.back();
    waiting.pop_back();
    if (right < 0 || down < 0 || right >= image.width || down >= image.height) continue;
    char& was_here = seen[static_cast<size_t>(down) * static_cast<size_t>(image.width) + static_cast<size_t>(right)];
    if (was_here != 0 || colour_at(image, right, down) != ink) continue;
    was_here = 1;
    box.add(right, down);
    for (const auto& [dx, dy] : {std::pair{1, 0}, {-1, 0}, {0, 1}, {0, -1}})
      waiting.emplace_back(right + dx, down + dy);
  }
  return box;
}

// Numbers are compared as numbers: how they are written is the picture's matter.
void expect_chart_answer(const Picture& picture, Random& random) {
  const auto [question, answer] = picture.ask(random);
  const Chart chart = chart_of(picture);
  const auto order = largest_first(chart);
  const auto asked = named_in(question, chart.names);
  const auto value = [&](size_t i) { return chart.values.at(asked.at(i)); };
  if (says(question, "title")) {
    EXPECT_EQ(answer, chart.title);
  } else if (says(question, "above|below")) {
    const double border = read_number(question);
    const auto count = std::ranges::count_if(chart.values, [&](const auto& of) {
      EXPECT_NE(of.second, border);
      EXPECT_GT(border, chart.values.at(order.back()));
      EXPECT_LT(border, chart.values.at(order.front()));
      return (of.second > border) == says(question, "above");
    });
    EXPECT_EQ(answer, std::to_string(count)) << question;
  } else if (says(question, "How many|Count")) {
    EXPECT_EQ(answer, std::to_string(chart.names.size()));
  } else if (says(question, "sum|add up")) {
    EXPECT_NEAR(read_number(answer), value(0) + value(1), 1e-6) << question;
  } else if (says(question, "difference|differ")) {
    EXPECT_NEAR(read_number(answer), std::abs(value(0) - value(1)), 1e-6) << question;
  } else if (says(question, "^(Is|Does)")) {
    EXPECT_EQ(answer, (value(0) > value(1)) == says(question, "higher") ? "Yes" : "No") << question;
  } else if (asked.size() == 2) {
    EXPECT_EQ(answer, asked[(value(0) > value(1)) == says(question, "higher") ? 0 : 1]) << question;
  } else if (asked.size() == 1) {
    EXPECT_EQ(read_number(answer), value(0)) << question;
  } else if (says(question, "second")) {
    EXPECT_EQ(answer, order[1]);
  } else {
    const std::string& found = says(question, "smallest|lowest|least") ? order.back() : order.front();
    const bool asks_value = says(question, "^What is the (highest|lowest) value|^What is the value of");
    EXPECT_EQ(answer.empty() || asks_value ? read_number(answer) : chart.values.at(answer), chart.values.at(found))
        << question;
  }
}

TEST(Pictures, AnswersAboutChartsAreThoseOfTheirValues) {
  Random random(5);
  for (int i = 0; i < 150 && !testing::Test::HasFailure(); ++i) {
    for (const int size : {112, 336}) {
      expect_chart_answer(make_bar_chart(random, size), random);
      expect_chart_answer(make_line_chart(random, size), random);
      const Picture pie = make_pie_chart(random, size);
      expect_chart_answer(pie, random);
      double whole = 0;
      for (const auto& [name, value] : chart_of(pie).values) whole += value;
      EXPECT_EQ(whole, 100);
    }
  }
}

TEST(Pictures, AnswersAboutTablesAreThoseOfTheirCells) {
  Random random(6);
  for (int i = 0; i < 400 && !testing::Test::HasFailure(); ++i) {
    const Picture picture = make_table(random, 336);
    const auto [question, answer] = picture.ask(random);
    const Rows rows = rows_of("\t" + picture.content);
    std::vector<std::string> names, columns;
    std::map<std::string, std::map<std::string, std::string>> cells;  // by column and row
    for (size_t row = 1; row < rows.size(); ++row) {
      names.push_back(rows[row][0]);
      for (size_t field = 1; field < rows[row].size(); ++field) {
        const size_t space = rows[row][field].find(' ');
        cells[rows[row][field].substr(0, space)][names.back()] = rows[row][field].substr(space + 1);
      }
    }
    for (const auto& [column, cell] : cells) columns.push_back(column);
    const auto asked = named_in(question, names), in = named_in(question, columns);
    if (says(question, "title|above the table")) {
      EXPECT_EQ(answer, picture.content.substr(0, picture.content.find('\n')));
    } else if (says(question, "^How many rows")) {
      EXPECT_EQ(answer, std::to_string(names.size()));
    } else {
      ASSERT_EQ(in.size(), 1U) << question;
      auto& column = cells[in[0]];
      const auto by_value = [](const auto& a, const auto& b) { return read_number(a.second) < read_number(b.second); };
      const auto extreme = says(question, "lowest|smallest") ? std::ranges::min_element(column, by_value)
                                                             : std::ranges::max_element(column, by_value);
      if (asked.size() == 2) {
        const double one = read_number(column[asked[0]]), other = read_number(column[asked[1]]);
        EXPECT_NEAR(read_number(answer), says(question, "sum") ? one + other : std::abs(one - other), 1e-6) << question;
      } else if (asked.size() == 1) {
        EXPECT_EQ(answer, column[asked[0]]) << question;
      } else if (says(question, "^Which row has the|^In which row")) {
        EXPECT_EQ(answer, extreme->first) << question;
      } else if (says(question, "highest|lowest|largest|smallest")) {
        EXPECT_EQ(answer, extreme->second) << question;
      } else {
        EXPECT_THAT(question, testing::HasSubstr(column[answer])) << answer;
      }
    }
  }
}

// Draws pictures of 336 pixels a side, and calls `look` for those that are legible.
void each_legible(Picture (*make)(Random&, int), uint64_t seed, int pictures,
                  const std::function<void(const Picture&, const Style&, const formats::Image&)>& look) {
  const auto paths = installed_fonts();
  ASSERT_TRUE(paths) << paths.error().text();
  std::vector<Font> fonts;
  fonts.push_back(*Font::open(paths->front()));
  Random random(seed);
  for (int i = 0; i < pictures; ++i) {
    const Picture picture = make(random, 336);
    const Style style = choose_style(fonts, 336, random);
    Page page(336, style);
    picture.draw(page, random);
    if (page.is_legible()) look(picture, style, page.canvas().image());
  }
}

TEST(Pictures, PieSlicesTakeTheShareOfThePixelsThatTheySay) {
  int measured = 0;
  each_legible(make_pie_chart, 3, 60, [&](const Picture& picture, const Style& style, const formats::Image& image) {
    const Chart chart = chart_of(picture);
    std::vector<double> pixels(chart.names.size());
    double all = 0;
    const auto& rgb = image.rgb;
    for (size_t at = 0; at < rgb.size(); at += 3) {
      for (size_t slice = 0; slice < pixels.size(); ++slice) {
        if (Colour{rgb[at], rgb[at + 1], rgb[at + 2]} != style.palette[slice]) continue;
        ++pixels[slice];
        ++all;
      }
    }
    for (size_t slice = 0; slice < pixels.size(); ++slice) {
      EXPECT_NEAR(100 * pixels[slice] / all, chart.values.at(chart.names[slice]), 2.0) << picture.content;
    }
    ++measured;
  });
  EXPECT_GT(measured, 20);
}

TEST(Pictures, BarsEndAtTheHeightsOfTheirValues) {
  int measured = 0;
  each_legible(make_bar_chart, 8, 80, [&](const Picture& picture, const Style& style, const formats::Image& image) {
    const Chart chart = chart_of(picture);
    // Bars of many colours, each in the box of its pixels; bars of one colour, outlines and names are no matter here.
    std::map<std::string, PixelBox> bars;
    for (size_t bar = 0; bar < chart.names.size(); ++bar) {
      const PixelBox box = box_of(image, [&](Colour c) { return c == style.palette[bar]; });
      if (box.pixels > 0) bars[chart.names[bar]] = box;
    }
    if (bars.size() != chart.names.size()) return;
    const PixelBox& first = bars.at(chart.names[0]);
    const PixelBox& second = bars.at(chart.names[1]);
    const bool sideways = std::abs(first.left - second.left) <= 1;
    const auto length = [&](const PixelBox& box) {
      return static_cast<double>(sideways ? box.right - box.left : box.bottom - box.top) + 1;
    };
    // Outlines and blended edges take the same from each bar.
    const auto order = largest_first(chart);
    const double most = chart.values.at(order.front()), least = chart.values.at(order.back());
    if (most < 2 * least) return;
    const double shortest = length(bars.at(order.back()));
    const double scale = (length(bars.at(order.front())) - shortest) / (most - least);
    EXPECT_NEAR(least * scale - shortest, 3, 4.5) << picture.content;
    for (const auto& [name, box] : bars) {
      EXPECT_NEAR(length(box), shortest + (chart.values.at(name) - least) * scale, 2) << picture.content << name;
    }
    ++measured;
  });
  EXPECT_GT(measured, 10);
}

TEST(Pictures, FiguresAreReckonedAgain) {
  Random random(9);
  for (int i = 0; i < 1000; ++i) {
    const Picture picture = make_geometry(random, 336);
    const auto [question, answer] = picture.ask(random);
    // Nothing but the kind and the lengths: "right triangle 3 4".
    std::smatch said;
    ASSERT_TRUE(std::regex_match(picture.content, said, std::regex("([a-z ]+) (\\d+)(?: (\\d+))?"))) << picture.content;
    const std::string kind = said[1];
    const int64_t a = std::stoll(said[2]), b = said[3].matched ? std::stoll(said[3]) : 0;
    int64_t expected = 0;
    if (kind == "circle") {
      expected = says(question, "diameter") ? 2 * a : a;
    } else if (kind == "triangle") {
      expected = 180 - a - b;
    } else if (says(question, "area")) {
      expected = kind == "rectangle" ? a * b : a * b / 2;
    } else if (kind == "rectangle") {
      expected = 2 * (a + b);
    } else {
      expected = std::llround(std::sqrt(static_cast<double>(a * a + b * b)));
      EXPECT_EQ(expected * expected, a * a + b * b);
    }
    EXPECT_LE(a, b == 0 ? a : b);
    EXPECT_EQ(answer, std::to_string(expected)) << picture.content << ": " << question;
  }
}

// Shapes as the pixels show them; names from the content, which says where each one stands.
struct SeenShape {
  std::string colour, kind;
  PixelBox ink;
};

std::vector<SeenShape> shapes_seen(const Picture& picture, const formats::Image& image) {
  std::vector<SeenShape> shapes;
  std::istringstream lines(picture.content);
  std::string colour, kind;
  for (int x = 0, y = 0; lines >> colour >> kind >> x >> y;) {
    const auto pixel = [&](int hundredths) { return static_cast<int>((hundredths + 0.5) / 100 * image.width); };
    shapes.push_back({colour, kind, patch_around(image, pixel(x), pixel(y))});
  }
  return shapes;
}

TEST(Pictures, AnswersAboutShapesAreThoseOfTheirPixels) {
  const auto paths = installed_fonts();
  ASSERT_TRUE(paths) << paths.error().text();
  std::vector<Font> fonts;
  fonts.push_back(*Font::open(paths->front()));
  Random random(10);
  int places = 0, relations = 0;
  for (int i = 0; i < 1200 && !testing::Test::HasFailure(); ++i) {
    const int size = i % 3 == 0 ? 96 : 224;
    const Picture picture = make_shapes(random, size);
    Page page(size, choose_style(fonts, size, random));
    picture.draw(page, random);
    const auto [question, answer] = picture.ask(random);
    const auto shapes = shapes_seen(picture, page.canvas().image());
    const auto is_called = [&](const SeenShape& shape, const std::string& text) {
      return says(text, "\\b" + shape.colour + " " + shape.kind + "\\b");
    };
    if (says(question, "How many|Count")) {
      const auto count = std::ranges::count_if(shapes, [&](const SeenShape& shape) {
        const bool any_kind = says(question, "shapes"),
                   any_colour = !says(question, "red|blue|green|yellow|orange|purple");
        return (any_kind || says(question, shape.kind)) && (any_colour || says(question, shape.colour));
      });
      EXPECT_EQ(answer, std::to_string(count)) << question << picture.content;
      continue;
    }
    if (says(question, "farthest|very")) {
      ++places;
      const auto edge = [&](const SeenShape& shape) {
        return says(question, "left")    ? -shape.ink.left
               : says(question, "right") ? shape.ink.right
               : says(question, "top")   ? -shape.ink.top
                                         : shape.ink.bottom;
      };
      const auto middle = [&](const SeenShape& shape) {
        return says(question, "left")    ? -shape.ink.middle_x
               : says(question, "right") ? shape.ink.middle_x
               : says(question, "top")   ? -shape.ink.middle_y
                                         : shape.ink.middle_y;
      };
      const SeenShape& found = *std::ranges::max_element(shapes, {}, edge);
      EXPECT_EQ(&found, &*std::ranges::max_element(shapes, {}, middle)) << picture.content;
      EXPECT_EQ(std::ranges::count(shapes, edge(found), edge), 1) << question << picture.content;
      EXPECT_TRUE(answer == found.colour || answer == found.kind || answer == found.colour + " " + found.kind)
          << question << " " << answer << "\n"
          << picture.content;
      continue;
    }
    if (!says(question, "^Is the")) continue;
    ++relations;
    std::smatch said;
    ASSERT_TRUE(std::regex_match(
        question, said,
        std::regex("Is the (\\w+ \\w+) (to the left of|to the right of|above|below) the (\\w+ \\w+)\\?")));
    const auto find = [&](const std::string& name) {
      return *std::ranges::find_if(shapes, [&](const SeenShape& shape) { return is_called(shape, name); });
    };
    const PixelBox one = find(said[1]).ink, other = find(said[3]).ink;
    const bool sideways = says(said[2], "left|right"), before = says(said[2], "left|above");
    const bool is_before = sideways ? one.right < other.left : one.bottom < other.top;
    const bool is_behind = sideways ? one.left > other.right : one.top > other.bottom;
    EXPECT_NE(is_before, is_behind) << question << picture.content;
    EXPECT_EQ(answer, (before ? is_before : is_behind) ? "Yes" : "No") << question << picture.content;
  }
  EXPECT_GT(places, 100);
  EXPECT_GT(relations, 50);
}

TEST(Pictures, NumbersAreWrittenAsTheirFormatSays) {
  EXPECT_EQ(written(1234567, {.decimals = 0, .thousands = true, .before = "$", .after = ""}), "$1,234,567");
  EXPECT_EQ(written(5, {.decimals = 2, .thousands = false, .before = "", .after = " kg"}), "0.05 kg");
  EXPECT_EQ(written(-999, {.decimals = 1, .thousands = true, .before = "", .after = "%"}), "-99.9%");
}

}  // namespace
}  // namespace phial::data
