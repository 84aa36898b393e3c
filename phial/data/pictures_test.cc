// What pictures are asked about is read out of their content and reckoned again; what charts show is measured on their
// pixels.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <regex>
#include <sstream>
#include <string>
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

// Numbers are compared as numbers: how they are written is the picture's matter.
void expect_chart_answer(const Picture& picture) {
  const auto& [question, answer] = picture.question;
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
      expect_chart_answer(make_bar_chart(random, size));
      expect_chart_answer(make_line_chart(random, size));
      const Picture pie = make_pie_chart(random, size);
      expect_chart_answer(pie);
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
    const auto& [question, answer] = picture.question;
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

TEST(Pictures, PieSlicesTakeTheShareOfThePixelsThatTheySay) {
  const auto paths = installed_fonts();
  ASSERT_TRUE(paths) << paths.error().text();
  std::vector<Font> fonts;
  fonts.push_back(*Font::open(paths->front()));
  Random random(3);
  int measured = 0;
  for (int i = 0; i < 60; ++i) {
    const Picture picture = make_pie_chart(random, 336);
    const Style style = choose_style(fonts, 336, random);
    Page page(336, style);
    picture.draw(page, random);
    if (!page.is_legible()) continue;
    const Chart chart = chart_of(picture);
    std::vector<double> pixels(chart.names.size());
    double all = 0;
    const auto& rgb = page.canvas().image().rgb;
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
  }
  EXPECT_GT(measured, 20);
}

TEST(Pictures, NumbersAreWrittenAsTheirFormatSays) {
  EXPECT_EQ(written(1234567, {.decimals = 0, .thousands = true, .before = "$", .after = ""}), "$1,234,567");
  EXPECT_EQ(written(5, {.decimals = 2, .thousands = false, .before = "", .after = " kg"}), "0.05 kg");
  EXPECT_EQ(written(-999, {.decimals = 1, .thousands = true, .before = "", .after = "%"}), "-99.9%");
}

}  // namespace
}  // namespace phial::data
