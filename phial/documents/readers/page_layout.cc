// Reading order by cutting the page. Words close together on a line are runs. The upright strip that the most rows
// leave free, with text on both sides, is a gutter; what lies above, left, right and below is cut again. A gutter
// between runs that share rows and of which one is short separates the cells of a table, and is not cut: its rows stay
// together.
#include "phial/documents/readers/page_layout.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <numeric>
#include <span>
#include <utility>

#include "phial/documents/readers/page_direction.h"

namespace phial::documents {
namespace {

constexpr size_t kMostWords = 20'000;  // of a page that is laid out; denser ones are no pages
constexpr float kGap = 0.75F;          // gaps from here on, in font sizes, may separate columns
constexpr float kSameLine = 0.5F;      // share of heights in common
constexpr int kMostCuts = 40;          // depth of nested columns
constexpr size_t kShortCell = 16;      // characters

struct Run {
  std::vector<size_t> words;
  float left = 0, right = 0, top = 0, bottom = 0;
  size_t characters = 0;
};

struct Row {
  std::vector<Run> runs;  // from left to right
  float top = 0, bottom = 0;
};

using Rows = std::vector<Row>;

// Turned words are laid out as if the page had been turned back.
PageWord upright(PageWord word) {
  const PageWord was = word;
  switch (word.rotation & 3) {
    case 1:
      word.left = was.top, word.right = was.bottom, word.top = -was.right, word.bottom = -was.left;
      break;
    case 2:
      word.left = -was.right, word.right = -was.left, word.top = -was.bottom, word.bottom = -was.top;
      break;
    case 3:
      word.left = -was.bottom, word.right = -was.top, word.top = was.left, word.bottom = was.right;
      break;
    default:
      break;
  }
  return word;
}

Run run_of(const std::vector<PageWord>& words, size_t index) {
  const PageWord& word = words[index];
  return {{index}, word.left, word.right, word.top, word.bottom, word.text.size()};
}

void join(Run& run, Run&& more) {
  run.left = std::min(run.left, more.left);
  run.right = std::max(run.right, more.right);
  run.top = std::min(run.top, more.top);
  run.bottom = std::max(run.bottom, more.bottom);
  run.characters += more.characters + 1;
  run.words.insert(run.words.end(), more.words.begin(), more.words.end());
}

// Rows from top to bottom, each cut into runs where the gap is wide.
Rows rows_of(const std::vector<PageWord>& words, std::vector<size_t> indices) {
  const auto middle = [&](size_t i) { return words[i].top + words[i].bottom; };
  std::sort(indices.begin(), indices.end(),
            [&](size_t a, size_t b) { return middle(a) != middle(b) ? middle(a) < middle(b) : a < b; });
  std::vector<std::vector<size_t>> lines;
  std::vector<std::pair<float, float>> extents;
  for (const size_t i : indices) {
    const PageWord& word = words[i];
    bool placed = false;
    // Only the last few lines can reach down to this word.
    for (size_t back = 0; back < std::min<size_t>(lines.size(), 4) && !placed; ++back) {
      const size_t line = lines.size() - 1 - back;
      auto& [top, bottom] = extents[line];
      placed = overlap_share(top, bottom, word.top, word.bottom) >= kSameLine;
      if (placed) lines[line].push_back(i);
    }
    if (placed) continue;
    lines.push_back({i});
    extents.emplace_back(word.top, word.bottom);
  }
  Rows rows;
  for (auto& line : lines) {
    std::sort(line.begin(), line.end(), [&](size_t a, size_t b) {
      return words[a].left != words[b].left ? words[a].left < words[b].left : a < b;
    });
    Row row;
    for (const size_t i : line) {
      const float gap = row.runs.empty() ? 0 : words[i].left - row.runs.back().right;
      const float em = row.runs.empty() ? 1 : std::max(words[i].size, words[row.runs.back().words.back()].size);
      if (row.runs.empty() || gap > kGap * em) {
        row.runs.push_back(run_of(words, i));
      } else {
        join(row.runs.back(), run_of(words, i));
      }
    }
    row.top = row.runs[0].top;
    row.bottom = row.runs[0].bottom;
    for (const Run& run : row.runs) {
      row.top = std::min(row.top, run.top);
      row.bottom = std::max(row.bottom, run.bottom);
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

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

// The characters of the shortest cell of a row; 0 if it has one cell only. Gaps that the rows do not share are the
// spaces of justified text.
size_t shortest_cell(const Row& row, std::span<const Row> rows) {
  const auto is_shared = [&](float x) {
    const auto crossing = std::count_if(rows.begin(), rows.end(), [x](const Row& other) { return crosses(other, x); });
    return static_cast<size_t>(crossing) * 5 <= rows.size() * 2;
  };
  std::vector<size_t> cells;
  for (size_t i = 0; i < row.runs.size(); ++i) {
    const bool begins = i == 0 || is_shared((row.runs[i - 1].right + row.runs[i].left) / 2);
    if (begins) cells.push_back(0);
    cells.back() += row.runs[i].characters;
  }
  return cells.size() < 2 ? 0 : *std::min_element(cells.begin(), cells.end());
}

bool is_table(std::span<const Row> rows) {
  constexpr size_t kMostCompared = 100;  // rows; each is held against each
  const std::span<const Row> compared = rows.first(std::min(rows.size(), kMostCompared));
  std::vector<size_t> shorter;
  for (const Row& row : compared) {
    if (const size_t least = shortest_cell(row, compared); least > 0) shorter.push_back(least);
  }
  if (shorter.size() < 2 || shorter.size() * 2 < compared.size()) return false;
  std::nth_element(shorter.begin(), shorter.begin() + static_cast<ptrdiff_t>(shorter.size() / 2), shorter.end());
  return shorter[shorter.size() / 2] <= kShortCell;
}

// A region of the page in reading order: rows of one column, or of a table.
struct Region {
  Rows rows;
  bool table = false;
};

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
    const bool table = is_table({rows.data() + gutter.first, gutter.last - gutter.first});
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

PageLine line_of(const std::vector<PageWord>& words, const Row& row, bool table) {
  PageLine line;
  std::vector<std::pair<float, size_t>> sizes;
  size_t right_to_left = 0, count = 0;
  line.left = row.runs.front().left;
  line.right = row.runs.back().right;
  line.top = row.top;
  line.bottom = row.bottom;
  line.bold = true;
  std::vector<std::vector<PageWord>> cells(1);
  for (const Run& run : row.runs) {
    for (const size_t i : run.words) {
      cells.back().push_back(words[i]);
      line.bold = line.bold && words[i].bold;
      sizes.emplace_back(words[i].size, words[i].text.size());
      right_to_left += is_right_to_left(words[i].text) ? 1 : 0;
      ++count;
    }
    if (table && &run != &row.runs.back()) cells.emplace_back();
  }
  line.right_to_left = right_to_left * 2 > count;
  if (line.right_to_left) std::reverse(cells.begin(), cells.end());
  for (auto& cell : cells) {
    order_words(cell);
    if (table) line.cells.push_back(cell.size());
    std::move(cell.begin(), cell.end(), std::back_inserter(line.words));
  }
  std::sort(sizes.begin(), sizes.end());
  size_t total = 0, before = 0;
  for (const auto& [size, characters] : sizes) total += characters;
  for (const auto& [size, characters] : sizes) {
    before += characters;
    line.size = size;
    if (before * 2 >= total) break;
  }
  return line;
}

bool starts_item(const PageLine& line) {
  const std::string_view first = line.words.front().text;
  static constexpr std::array<std::string_view, 9> kBullets = {"•", "▪", "◦", "‣", "–", "-", "*", "●", "■"};
  if (line.words.size() < 2) return false;
  if (std::find(kBullets.begin(), kBullets.end(), first) != kBullets.end()) return true;
  const char last = first.back();
  if (first.size() < 2 || first.size() > 4 || (last != '.' && last != ')')) return false;
  const std::string_view label =
      first.substr(first.front() == '(' ? 1 : 0, first.size() - (first.front() == '(' ? 2 : 1));
  const bool digits = !label.empty() && label.find_first_not_of("0123456789") == std::string_view::npos;
  return digits || (label.size() == 1 && label[0] >= 'a' && label[0] <= 'z');
}

bool ends_sentence(const PageLine& line) {
  const char last = line.words.back().text.back();
  return last == '.' || last == '!' || last == '?' || last == ':';
}

// Whether `line` opens a new paragraph below `before`, which leaves `short_by` free of its column's `width`.
bool opens_paragraph(const PageLine& before, const PageLine& line, float short_by, float width, float usual_gap) {
  const float size = std::max({before.size, line.size, 1.0F});
  const float gap = line.top - before.bottom;
  if (std::fabs(before.size - line.size) > 0.08F * size || before.bold != line.bold) return true;
  if (gap > usual_gap + 0.35F * size || starts_item(line)) return true;
  const float indent = line.right_to_left ? before.right - line.right : line.left - before.left;
  const bool indented = indent > 0.7F * size && indent < 5 * size;
  if (indented && ends_sentence(before)) return true;
  // A line that stops well short of the edge was the last of its paragraph, unless the whole column is that ragged.
  return short_by > 0.25F * width && ends_sentence(before);
}

float usual_gap_of(const std::vector<PageLine>& lines) {
  std::vector<float> gaps;
  for (size_t i = 1; i < lines.size(); ++i) gaps.push_back(lines[i].top - lines[i - 1].bottom);
  if (gaps.empty()) return 0;
  const size_t third = gaps.size() / 3;  // below the middle, since gaps between paragraphs are among them
  std::nth_element(gaps.begin(), gaps.begin() + static_cast<ptrdiff_t>(third), gaps.end());
  // Two lines far apart are two paragraphs; many lines evenly far apart are one, set with wide spacing.
  const float widest = (gaps.size() < 3 ? 0.5F : 1.2F) * lines.front().size;
  return std::clamp(gaps[third], 0.0F, widest);
}

void add_column(std::vector<PageLine> lines, int page, std::vector<PageParagraph>& to) {
  const float usual_gap = usual_gap_of(lines);
  float left = lines.front().left, right = lines.front().right;
  for (const PageLine& line : lines) {
    left = std::min(left, line.left);
    right = std::max(right, line.right);
  }
  const float width = right - left;
  const auto short_by = [&](const PageLine& line) {
    return line.right_to_left ? line.left - left : right - line.right;
  };
  for (PageLine& line : lines) line.ends_early = short_by(line) > 0.35F * width;
  for (size_t i = 0; i < lines.size(); ++i) {
    const PageLine* before = i > 0 ? &to.back().lines.back() : nullptr;
    if (before == nullptr || opens_paragraph(*before, lines[i], short_by(*before), width, usual_gap)) {
      to.push_back({starts_item(lines[i]) ? BlockKind::kListItem : BlockKind::kParagraph, 0, page, {}});
    }
    to.back().lines.push_back(std::move(lines[i]));
  }
}

// A line of one cell between rows is what the next table is called, if it is set apart.
void add_table(std::vector<PageLine> lines, int page, std::vector<PageParagraph>& to) {
  bool fresh = true;
  for (size_t i = 0; i < lines.size(); ++i) {
    const bool between = i > 0 && i + 1 < lines.size() && lines[i].cells.size() == 1 && lines[i + 1].cells.size() > 1;
    const bool apart = between && (lines[i].bold || lines[i].top - lines[i - 1].bottom > 0.8F * lines[i].size);
    if (apart) {
      lines[i].cells.clear();
      to.push_back({BlockKind::kParagraph, 0, page, {std::move(lines[i])}});
      fresh = true;
      continue;
    }
    if (std::exchange(fresh, false)) to.push_back({BlockKind::kTable, 0, page, {}});
    to.back().lines.push_back(std::move(lines[i]));
  }
}

// `words`: upright, of one rotation.
void lay_out_turned(const std::vector<PageWord>& words, int page, std::vector<PageParagraph>& to) {
  std::vector<size_t> all(words.size());
  std::iota(all.begin(), all.end(), size_t{0});
  Cutter cutter(words);
  cutter.cut(rows_of(words, std::move(all)), 0);
  for (const Region& region : cutter.take()) {
    std::vector<PageLine> lines;
    for (const Row& row : region.rows) lines.push_back(line_of(words, row, region.table));
    if (region.table) {
      add_table(std::move(lines), page, to);
    } else {
      add_column(std::move(lines), page, to);
    }
  }
}

}  // namespace

float overlap_share(float a0, float a1, float b0, float b1) {
  const float common = std::min(a1, b1) - std::max(a0, b0);
  const float shorter = std::min(a1 - a0, b1 - b0);
  if (shorter <= 0) return common >= 0 ? 1 : 0;
  return common / shorter;
}

std::vector<PageParagraph> lay_out(PageOfWords page) {
  std::vector<PageParagraph> paragraphs;
  if (page.words.size() > kMostWords) page.words.resize(kMostWords);
  std::array<std::vector<PageWord>, 4> turned;
  for (PageWord& word : page.words) turned[static_cast<size_t>(word.rotation & 3)].push_back(upright(std::move(word)));
  std::array<size_t, 4> order = {0, 1, 2, 3};
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return turned[a].size() != turned[b].size() ? turned[a].size() > turned[b].size() : a < b;
  });
  for (const size_t rotation : order) {
    if (!turned[rotation].empty()) lay_out_turned(turned[rotation], page.number, paragraphs);
  }
  return paragraphs;
}

}  // namespace phial::documents
