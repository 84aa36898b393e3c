// Reading order by cutting the page. Words close together on a line are runs. The upright strip that the most rows
// leave free, with text on both sides, is a gutter; what lies above, left, right and below is cut again. A gutter
// between runs that share rows and of which one is short separates the cells of a table, and is not cut: its rows stay
// together; unless the lines on all sides are justified, as in very narrow columns.
#include "phial/documents/readers/page_regions.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <numeric>
#include <span>
#include <utility>

#include "phial/documents/readers/page_direction.h"

namespace phial::documents {
namespace {

constexpr int kMostCuts = 40;       // depth of nested columns
constexpr float kNarrowest = 0.5F;  // gutter between cells, in heights of a row
constexpr size_t kShortCell = 16;   // characters

struct Gutter {
  size_t first = 0, last = 0;  // rows, [first, last)
  float x = 0;
  size_t score = 0;  // rows with text on the side that has fewer
  float width = 0;   // free on both sides of x, in font sizes
};

bool crosses(const Row& row, float x) {
  return std::any_of(row.runs.begin(), row.runs.end(), [x](const Run& run) { return run.left < x && run.right > x; });
}

// The longest stretch of rows that leaves x free.
Gutter stretch_at(const Rows& rows, float x) {
  Gutter best, now;
  size_t left = 0, right = 0;
  now.x = x;
  for (size_t i = 0; i <= rows.size(); ++i) {
    if (i < rows.size() && !crosses(rows[i], x)) {
      left += rows[i].runs.front().left < x ? 1 : 0;
      right += rows[i].runs.back().right > x ? 1 : 0;
      continue;
    }
    now.last = i;
    now.score = std::min(left, right);
    if (now.score > best.score) best = now;
    now.first = i + 1;
    left = right = 0;
  }
  return best;
}

// How wide the strip around the gutter is, measured in the heights of its rows.
float free_width(const Rows& rows, const Gutter& gutter) {
  float left = -1e9F, right = 1e9F, heights = 0;
  for (size_t i = gutter.first; i < gutter.last; ++i) {
    for (const Run& run : rows[i].runs) {
      if (run.left < gutter.x) {
        left = std::max(left, run.right);
      } else {
        right = std::min(right, run.left);
      }
    }
    heights += rows[i].bottom - rows[i].top;
  }
  return (right - left) * static_cast<float>(gutter.last - gutter.first) / std::max(heights, 0.1F);
}

Gutter best_gutter(const Rows& rows) {
  std::vector<float> candidates;
  for (const Row& row : rows) {
    for (size_t i = 1; i < row.runs.size(); ++i) candidates.push_back((row.runs[i - 1].right + row.runs[i].left) / 2);
    candidates.push_back(row.runs.front().left - 3);  // beside columns whose lines share no row
  }
  std::sort(candidates.begin(), candidates.end());
  candidates.erase(std::unique(candidates.begin(), candidates.end(), [](float a, float b) { return b - a < 2; }),
                   candidates.end());
  Gutter best;
  for (const float x : candidates) {
    const Gutter gutter = stretch_at(rows, x);
    if (gutter.score > best.score) best = gutter;
  }
  if (best.score > 0) best.width = free_width(rows, best);
  return best;
}

// Between a few lines the spaces of justified text may line up; a narrow gutter must run on.
bool separates_columns(const Gutter& gutter) {
  constexpr float kWide = 1.5F;
  constexpr size_t kFew = 3, kMany = 6;
  return gutter.score >= (gutter.width >= kWide ? kFew : kMany);
}

// Rows beyond those between which a gutter runs may be headings that happen to leave it free: cut to where both sides
// have begun.
void trim_to_both_sides(const Rows& rows, Gutter& gutter, bool table) {
  if (table) {
    while (gutter.first + 1 < gutter.last && rows[gutter.first].runs.size() < 2) ++gutter.first;
    return;
  }
  const auto one_sided_and_apart = [&](size_t i, size_t next) {
    const Row& row = rows[i];
    const bool both = row.runs.front().left < gutter.x && row.runs.back().right > gutter.x;
    const float gap = next > i ? rows[next].top - row.bottom : row.top - rows[next].bottom;
    return !both && gap > 1.2F * (row.bottom - row.top);
  };
  while (gutter.first + 1 < gutter.last && one_sided_and_apart(gutter.first, gutter.first + 1)) ++gutter.first;
  while (gutter.first + 1 < gutter.last && one_sided_and_apart(gutter.last - 1, gutter.last - 2)) --gutter.last;
}

using Strip = std::pair<float, float>;

// The upright strips that almost all rows leave free, between their outermost edges.
std::vector<Strip> free_strips(std::span<const Row> rows) {
  std::vector<std::pair<float, int>> edges;
  for (const Row& row : rows) {
    for (const Run& run : row.runs) {
      edges.emplace_back(run.left, 1);
      edges.emplace_back(run.right, -1);
    }
  }
  std::sort(edges.begin(), edges.end());
  std::vector<Strip> strips;
  int crossing = 0;
  const int few = static_cast<int>(rows.size() / 5);
  for (size_t i = 0; i + 1 < edges.size(); ++i) {
    crossing += edges[i].second;
    const Strip strip = {edges[i].first, edges[i + 1].first};
    if (crossing > few || strip.first == strip.second) continue;
    if (!strips.empty() && strips.back().second == strip.first) {
      strips.back().second = strip.second;
    } else {
      strips.push_back(strip);
    }
  }
  return strips;
}

// What stands between two strips of a row.
struct Cell {
  size_t column = 0;  // strips before it
  float left = 0, right = 0;
  size_t characters = 0;
  std::vector<size_t> words;
};

// The cells of a row. Gaps where other rows have text are the spaces of justified text.
std::vector<Cell> cells_of(const Row& row, std::span<const Strip> strips) {
  const float least = kNarrowest * (row.bottom - row.top);
  const auto is_shared = [&](float left, float right) {
    return std::any_of(strips.begin(), strips.end(), [&](const Strip& strip) {
      return std::min(strip.second, right) - std::max(strip.first, left) > least;
    });
  };
  const auto column_of = [&](const Run& run) {
    const float middle = (run.left + run.right) / 2;
    return static_cast<size_t>(std::count_if(strips.begin(), strips.end(), [&](const Strip& strip) {
      return strip.second - strip.first > least && strip.second < middle;
    }));
  };
  std::vector<Cell> cells;
  for (const Run& run : row.runs) {
    if (cells.empty() || is_shared(cells.back().right, run.left)) {
      cells.push_back({column_of(run), run.left, run.right, run.characters, run.words});
      continue;
    }
    Cell& cell = cells.back();
    cell.right = run.right;
    cell.characters += 1 + run.characters;
    cell.words.insert(cell.words.end(), run.words.begin(), run.words.end());
  }
  return cells;
}

// Whether the lines of a column are spread to both its edges, by spaces of many widths: justified text, however short
// its lines are. Cells of one width that are set as they are have spaces of one width.
bool is_justified(const std::vector<PageWord>& words, const std::vector<const Cell*>& column, float height) {
  constexpr size_t kFewest = 4;     // lines
  constexpr float kSpread = 1.5F;   // widest by narrowest space
  constexpr float kInLine = 0.15F;  // in heights
  std::vector<float> lefts, rights;
  for (const Cell* cell : column) {
    lefts.push_back(cell->left);
    rights.push_back(cell->right);
  }
  const float left = quantile(lefts, 0.5F), right = quantile(rights, 0.5F);
  size_t flush = 0, of_words = 0;
  float narrowest = 0, widest = 0;
  for (const Cell* cell : column) {
    of_words += cell->words.size() > 1 ? 1 : 0;
    if (cell->words.size() < 2 || std::fabs(cell->left - left) > kInLine * height ||
        std::fabs(cell->right - right) > kInLine * height) {
      continue;
    }
    float letters = 0;
    for (const size_t i : cell->words) letters += words[i].right - words[i].left;
    const float space = (cell->right - cell->left - letters) / static_cast<float>(cell->words.size() - 1);
    narrowest = flush == 0 ? space : std::min(narrowest, space);
    widest = std::max(widest, space);
    ++flush;
  }
  // The first and last lines of paragraphs end elsewhere.
  return of_words >= kFewest && flush * 2 > column.size() && widest > kSpread * narrowest;
}

bool is_table(const std::vector<PageWord>& words, std::span<const Row> rows) {
  const std::vector<Strip> strips = free_strips(rows);
  std::vector<size_t> shorter;
  std::vector<std::vector<Cell>> cells;
  std::map<size_t, std::vector<const Cell*>> columns;
  float height = 0;
  for (const Row& row : rows) {
    cells.push_back(cells_of(row, strips));
    height += (row.bottom - row.top) / static_cast<float>(rows.size());
    const auto by_length = [](const Cell& a, const Cell& b) { return a.characters < b.characters; };
    if (cells.back().size() > 1) {
      shorter.push_back(std::min_element(cells.back().begin(), cells.back().end(), by_length)->characters);
    }
  }
  if (shorter.size() < 2 || shorter.size() * 2 < rows.size()) return false;
  std::nth_element(shorter.begin(), shorter.begin() + static_cast<ptrdiff_t>(shorter.size() / 2), shorter.end());
  if (shorter[shorter.size() / 2] > kShortCell) return false;
  for (const std::vector<Cell>& row : cells) {
    for (const Cell& cell : row) columns[cell.column].push_back(&cell);
  }
  return !std::all_of(columns.begin(), columns.end(),
                      [&](const auto& column) { return is_justified(words, column.second, height); });
}

class Cutter {
 public:
  explicit Cutter(const std::vector<PageWord>& words) : words_(words) {}

  void cut(Rows rows, int depth) {
    if (rows.empty()) return;
    Gutter gutter = best_gutter(rows);
    if (gutter.score < 2 || depth >= kMostCuts) {
      regions_.push_back({std::move(rows)});
      return;
    }
    const auto at = [&](size_t i) { return rows.begin() + static_cast<ptrdiff_t>(i); };
    const bool table = is_table(words_, {rows.data() + gutter.first, gutter.last - gutter.first});
    trim_to_both_sides(rows, gutter, table);
    if (!table && !separates_columns(gutter)) {
      regions_.push_back({std::move(rows)});
      return;
    }
    cut(Rows(at(0), at(gutter.first)), depth + 1);
    if (table) {
      regions_.push_back({Rows(at(gutter.first), at(gutter.last)), true});
    } else {
      std::array<std::vector<size_t>, 2> sides;
      for (size_t i = gutter.first; i < gutter.last; ++i) {
        for (const Run& run : rows[i].runs) {
          auto& side = sides[run.left < gutter.x ? 0 : 1];
          side.insert(side.end(), run.words.begin(), run.words.end());
        }
      }
      // Pages in Hebrew or Arabic are read from the right column.
      if (mostly_right_to_left(sides[0])) std::swap(sides[0], sides[1]);
      for (auto& side : sides) cut(rows_of(words_, std::move(side)), depth + 1);
    }
    cut(Rows(at(gutter.last), rows.end()), depth + 1);
  }

  std::vector<Region> take() { return std::move(regions_); }

 private:
  bool mostly_right_to_left(const std::vector<size_t>& indices) const {
    const auto count =
        std::count_if(indices.begin(), indices.end(), [this](size_t i) { return is_right_to_left(words_[i].text); });
    return static_cast<size_t>(count) * 2 > indices.size();
  }

  const std::vector<PageWord>& words_;
  std::vector<Region> regions_;
};

}  // namespace

std::vector<Region> regions_of(const std::vector<PageWord>& words) {
  std::vector<size_t> all(words.size());
  std::iota(all.begin(), all.end(), size_t{0});
  Cutter cutter(words);
  cutter.cut(rows_of(words, std::move(all)), 0);
  return cutter.take();
}

}  // namespace phial::documents
