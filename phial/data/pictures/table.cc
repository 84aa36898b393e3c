#include <algorithm>
#include <array>
#include <functional>

#include "phial/data/pick.h"
#include "phial/data/pictures/number_format.h"
#include "phial/data/pictures/picture.h"

namespace phial::data {
namespace {

struct Column {
  std::string name;
  NumberFormat format;
  std::vector<int64_t> values;  // no two alike
};

struct Table {
  std::string title;   // may be empty
  std::string corner;  // what the first column holds
  std::vector<std::string> rows;
  std::vector<Column> columns;
};

// What a column counts or measures: values from 1 to below `largest`, of 10^-decimals each.
struct Measure {
  const char* name;
  int64_t largest;
  int decimals = 0;
};

struct TableTopic {
  const char* corner;
  std::vector<std::string> rows;
  std::vector<Measure> columns;
};

const std::vector<TableTopic>& table_topics() {
  static const std::vector<TableTopic> all = {
      {"City",
       {"Rome", "Oslo", "Lima", "Cairo", "Delhi", "Paris", "Tokyo", "Quito", "Bern", "Dublin", "Accra", "Hanoi"},
       {{"Trams", 400}, {"Parks", 90}, {"Schools", 3000}, {"Museums", 60}, {"Area", 9000, 1}, {"Hotels", 10000}}},
      {"Name",
       {"Anna", "Ben", "Clara", "David", "Emma", "Felix", "Grace", "Hugo", "Ida", "Jonas", "Kara", "Leo"},
       {{"Age", 90}, {"Points", 1000}, {"Wins", 40}, {"Games", 200}, {"Time", 600, 1}, {"Miles", 10000}}},
      {"Item",
       {"Pen", "Lamp", "Desk", "Chair", "Shelf", "Clock", "Mirror", "Rug", "Vase", "Stool", "Bed", "Sofa"},
       {{"Price", 20000, 2}, {"Stock", 500}, {"Sold", 3000}, {"Weight", 900, 1}, {"Code", 10000}, {"Orders", 80}}},
      {"Month",
       {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"},
       {{"Rain", 2000, 1}, {"Sun", 400}, {"Snow", 90}, {"Wind", 300, 1}, {"Guests", 10000}, {"Fog", 30}}},
      {"Team",
       {"Reds", "Blues", "Hawks", "Bears", "Lions", "Foxes", "Owls", "Rams", "Kites", "Wolves"},
       {{"Won", 40}, {"Lost", 40}, {"Drawn", 30}, {"Goals", 150}, {"Points", 120}, {"Fans", 10000}}},
  };
  return all;
}

Column make_column(Random& random, const Measure& measure, size_t rows) {
  Column column{.name = measure.name, .format = {}, .values = {}};
  column.format.decimals = measure.decimals;
  column.format.thousands = measure.largest == 10000 && chance(random, 0.5);
  while (column.values.size() < rows) {
    const int64_t value = number_between(random, 1, measure.largest - 1);
    if (std::ranges::find(column.values, value) == column.values.end()) column.values.push_back(value);
  }
  return column;
}

Table make_table_content(Random& random, int size) {
  const TableTopic& topic = pick(random, table_topics());
  const auto most_rows = std::clamp<int64_t>(size / 32, 3, 9), most_columns = std::clamp<int64_t>(size / 75, 1, 5);
  Table table{.title = "", .corner = topic.corner, .rows = {}, .columns = {}};
  table.rows = pick_several(random, topic.rows, static_cast<size_t>(number_between(random, 2, most_rows)));
  const auto measures =
      pick_several(random, topic.columns, static_cast<size_t>(number_between(random, 1, most_columns)));
  for (const Measure& measure : measures) table.columns.push_back(make_column(random, measure, table.rows.size()));
  if (chance(random, 0.4)) table.title = "Table " + std::to_string(number_between(random, 1, 40));
  return table;
}

std::string cell(const Column& column, size_t row) { return written(column.values[row], column.format); }

std::string table_content(const Table& table) {
  std::string content = table.title;
  for (size_t row = 0; row < table.rows.size(); ++row) {
    content += "\n" + table.rows[row];
    for (const Column& column : table.columns) content += "\t" + column.name + " " + cell(column, row);
  }
  return content;
}

Question ask_table(Random& random, const Table& table) {
  const Column& column = pick(random, table.columns);
  const std::string& name = column.name;
  const size_t row = random.below(table.rows.size());
  const size_t other = (row + 1 + random.below(table.rows.size() - 1)) % table.rows.size();
  const auto phrase = [&](const std::vector<std::string>& phrases) { return pick(random, phrases); };
  const auto extreme = [&](bool largest) {
    const auto at = largest ? std::ranges::max_element(column.values) : std::ranges::min_element(column.values);
    return static_cast<size_t>(at - column.values.begin());
  };
  const bool largest = chance(random, 0.5);
  const auto number = [&](int64_t value) { return written(value, column.format); };
  switch (random.below(table.title.empty() ? 9 : 10)) {
    default:
      return {phrase({"What is the value of " + name + " for " + table.rows[row] + "?",
                      "Which value stands in row " + table.rows[row] + ", column " + name + "?",
                      "Read the cell of " + table.rows[row] + " and " + name + ".",
                      "What does the table say under " + name + " for " + table.rows[row] + "?"}),
              cell(column, row)};
    case 3:
      return {
          phrase({std::string("Which row has the ") + (largest ? "highest" : "lowest") + " value under " + name + "?",
                  std::string("In which row is ") + name + (largest ? " largest?" : " smallest?")}),
          table.rows[extreme(largest)]};
    case 4:
      return {
          phrase({std::string("What is the ") + (largest ? "highest" : "lowest") + " value of " + name + "?",
                  std::string("Name the ") + (largest ? "largest" : "smallest") + " number in column " + name + "."}),
          cell(column, extreme(largest))};
    case 5: {
      const auto [least, most] = std::minmax(column.values[row], column.values[other]);
      return {
          phrase(
              {"What is the difference in " + name + " between " + table.rows[row] + " and " + table.rows[other] + "?",
               "By how much does " + name + " differ between " + table.rows[row] + " and " + table.rows[other] + "?"}),
          number(most - least)};
    }
    case 6:
      return {phrase({"How many rows does the table have, without the header?",
                      "How many rows are there below the header?"}),
              std::to_string(table.rows.size())};
    case 7:
      return {phrase({"Which row has " + cell(column, row) + " under " + name + "?",
                      "Where is " + name + " " + cell(column, row) + "?"}),
              table.rows[row]};
    case 8:
      return {"What is the sum of " + name + " for " + table.rows[row] + " and " + table.rows[other] + "?",
              number(column.values[row] + column.values[other])};
    case 9:
      return {phrase({"What is the title of the table?", "What stands above the table?"}), table.title};
  }
}

struct TableLook {
  bool has_grid, has_filled_header, has_stripes, is_to_the_right;
};

// The columns' widths at the style's own text size, without room beside the texts.
std::vector<double> natural_widths(const Page& page, const Table& table) {
  std::vector<double> widths = {page.text_width(table.corner)};
  for (const std::string& row : table.rows) widths[0] = std::max(widths[0], page.text_width(row));
  for (const Column& column : table.columns) {
    double width = page.text_width(column.name);
    for (size_t row = 0; row < table.rows.size(); ++row) width = std::max(width, page.text_width(cell(column, row)));
    widths.push_back(width);
  }
  return widths;
}

// Where the lines between the cells stand.
struct Lattice {
  std::vector<double> lefts;  // of the columns; the last one is the right end
  double top = 0, row_height = 0;
  size_t lines = 0;

  double left() const { return lefts.front(); }
  double right() const { return lefts.back(); }
  double line_top(size_t line) const { return top + row_height * static_cast<double>(line); }
};

void draw_lattice(Page& page, const Lattice& lattice, const TableLook& look) {
  const double line = page.style().line, bottom = lattice.line_top(lattice.lines);
  if (look.has_filled_header) {
    page.canvas().rectangle({lattice.left(), lattice.top, lattice.right(), lattice.line_top(1)},
                            page.style().palette.front());
  }
  for (size_t row = 1; row < lattice.lines; ++row) {
    const double y = lattice.line_top(row);
    if (look.has_stripes && row % 2 == 0) {
      page.canvas().rectangle({lattice.left(), y, lattice.right(), lattice.line_top(row + 1)}, page.style().faint);
    }
    if (look.has_grid || row == 1) {
      page.canvas().rectangle({lattice.left(), y, lattice.right(), y + line}, page.style().ink);
    }
  }
  if (!look.has_grid) return;
  for (size_t column = 1; column + 1 < lattice.lefts.size(); ++column) {
    const double x = lattice.lefts[column];
    page.canvas().rectangle({x, lattice.top, x + line, bottom}, page.style().ink);
  }
  page.canvas().outline({lattice.left(), lattice.top, lattice.right(), bottom}, line, page.style().ink);
}

void draw_table(Page& page, Random& layout, const Table& table) {
  const TableLook look = {chance(layout, 0.5), chance(layout, 0.5), chance(layout, 0.4), chance(layout, 0.7)};
  const std::vector<double> widths = natural_widths(page, table);
  const size_t lines = table.rows.size() + 1;
  const double room = page.part(0.95), height_alone = page.text_height(), pad_alone = height_alone * 0.6;
  double whole = 0;
  for (const double width : widths) whole += width + 2 * pad_alone;
  // As large as there is room for, up to twice the usual size; then wider and higher than need be, or not.
  const double titled = table.title.empty() ? 0 : 2.4;
  const double most =
      std::min({2.0, room / whole, room / (height_alone * (1.9 * static_cast<double>(lines) + titled))});
  if (most < 1) return page.give_up();
  const double scale = 1 + (most - 1) * layout.uniform();
  const double height = page.text_height(scale);
  const double stretch = 1 + (std::min(1.6, room / (whole * scale)) - 1) * layout.uniform();
  const double tallest = (room - titled * height) / static_cast<double>(lines);

  Lattice lattice{.lefts = {}, .top = 0, .row_height = 0, .lines = lines};
  lattice.row_height = std::max(1.9 * height, std::min((1.9 + layout.uniform()) * height, tallest));
  lattice.top = (page.size() - lattice.row_height * static_cast<double>(lines) + titled * height) / 2;
  double x = (page.size() - whole * scale * stretch) / 2;
  for (const double width : widths) {
    lattice.lefts.push_back(x);
    x += (width + 2 * pad_alone) * scale * stretch;
  }
  lattice.lefts.push_back(x);
  draw_lattice(page, lattice, look);
  if (titled > 0) {
    page.text({page.size() / 2, lattice.top - height * 0.8}, Side::kMiddle, table.title, page.style().ink, scale);
  }
  const Colour header_ink = look.has_filled_header ? ink_on(page.style().palette.front()) : page.style().ink;
  const double pad = pad_alone * scale;
  for (size_t column = 0; column < widths.size(); ++column) {
    const bool right = column > 0 && look.is_to_the_right;
    const double at = right ? lattice.lefts[column + 1] - pad : lattice.lefts[column] + pad;
    const auto put = [&](size_t line, const std::string& text, Colour ink) {
      page.text({at, lattice.line_top(line) + (lattice.row_height + height) / 2}, right ? Side::kRight : Side::kLeft,
                text, ink, scale);
    };
    put(0, column == 0 ? table.corner : table.columns[column - 1].name, header_ink);
    for (size_t row = 0; row < table.rows.size(); ++row) {
      put(row + 1, column == 0 ? table.rows[row] : cell(table.columns[column - 1], row), page.style().ink);
    }
  }
}

}  // namespace

Picture make_table(Random& random, int size) {
  const Table table = make_table_content(random, size);
  return {.content = table_content(table),
          .ask = [table](Random& choice) { return ask_table(choice, table); },
          .draw = [table](Page& page, Random& layout) { draw_table(page, layout, table); }};
}

}  // namespace phial::data
