#include "phial/documents/readers/page_rows.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace phial::documents {
namespace {

constexpr float kGap = 0.75F;      // gaps from here on, in font sizes, may separate columns
constexpr float kSameLine = 0.5F;  // share of heights in common

Run run_of(const std::vector<PageWord>& words, size_t index) {
  const PageWord& word = words[index];
  return {{index}, word.left, word.right, word.top, word.bottom, word.text.size()};
}

void join(Run& run, const Run& more) {
  run.left = std::min(run.left, more.left);
  run.right = std::max(run.right, more.right);
  run.top = std::min(run.top, more.top);
  run.bottom = std::max(run.bottom, more.bottom);
  run.characters += more.characters + 1;
  run.words.insert(run.words.end(), more.words.begin(), more.words.end());
}

constexpr size_t kReach = 3;  // rows above and as many below that a gap is held against

float tolerance_of(const Row& row) { return 0.1F * (row.bottom - row.top); }

// Whether both ends of a row stand in line with those of the other.
bool is_flush(const Row& row, const Row& other) {
  const float tolerance = tolerance_of(row);
  return std::fabs(row.runs.front().left - other.runs.front().left) <= tolerance &&
         std::fabs(row.runs.back().right - other.runs.back().right) <= tolerance;
}

// The spaces between the words of a row.
struct Spaces {
  size_t count = 0;
  float least = 0, most = 0;
  bool alike() const { return most <= 1.3F * least; }
};

Spaces spaces_of(const std::vector<PageWord>& words, const Row& row) {
  constexpr float kGlued = 0.1F;  // closer words are parts of one
  Spaces spaces;
  const PageWord* before = nullptr;
  for (const Run& run : row.runs) {
    for (const size_t i : run.words) {
      const float gap = before == nullptr ? 0 : words[i].left - before->right;
      if (before != nullptr && gap > kGlued * words[i].size) {
        spaces.least = spaces.count == 0 ? gap : std::min(spaces.least, gap);
        spaces.most = std::max(spaces.most, gap);
        ++spaces.count;
      }
      before = &words[i];
    }
  }
  return spaces;
}

// Whether the spaces between all words of a row are about the same, as in justified text. One space alone says nothing;
// then both ends must stand in line with the rows about it.
bool is_even(const std::vector<PageWord>& words, const Rows& rows, size_t row) {
  const Spaces spaces = spaces_of(words, rows[row]);
  if (spaces.count != 1) return spaces.count > 1 && spaces.alike();
  return rows.size() > kReach && row > 0 && row + 1 < rows.size() && is_flush(rows[row], rows[row - 1]) &&
         is_flush(rows[row], rows[row + 1]);
}

// The lines of one column of justified text, by place: most of the rows reach both its edges, the spaces within a row
// are alike, and those of different rows are not. Empty if `rows` are something else. A name and a number at the
// column's other end do the same with one space, so that rows with more have to be among them.
std::vector<size_t> justified_lines(const std::vector<PageWord>& words, const Rows& rows) {
  constexpr size_t kFewest = 4;    // rows that have several spaces
  constexpr float kSpread = 1.2F;  // of the middle half of all rows' spaces
  std::vector<float> lefts, rights, spaces;
  for (const Row& row : rows) {
    lefts.push_back(row.runs.front().left);
    rights.push_back(row.runs.back().right);
  }
  if (rows.size() < kFewest) return {};
  const float left = quantile(lefts, 0.5F), right = quantile(rights, 0.5F);
  std::vector<size_t> flush;
  size_t uneven = 0;
  for (size_t i = 0; i < rows.size(); ++i) {
    const float tolerance = tolerance_of(rows[i]);
    if (std::fabs(rows[i].runs.front().left - left) > tolerance) continue;
    if (std::fabs(rows[i].runs.back().right - right) > tolerance) continue;
    const Spaces found = spaces_of(words, rows[i]);
    const bool tells = found.count > 1;
    if (tells && !found.alike()) ++uneven;
    if (tells && found.alike()) spaces.push_back(found.least);
    if (!tells || found.alike()) flush.push_back(i);
  }
  const bool is_text = spaces.size() >= kFewest && uneven * 5 <= spaces.size() && spaces.size() * 4 >= flush.size() &&
                       flush.size() * 2 >= rows.size();
  if (!is_text || quantile(spaces, 0.75F) < kSpread * quantile(spaces, 0.25F)) return {};
  return flush;
}

// Whether at each gap between the runs of `row` one side stands in line with a run of the other row.
bool lines_up(const Row& row, const Row& other) {
  const float tolerance = tolerance_of(row);
  for (size_t i = 1; i < row.runs.size(); ++i) {
    const float end = row.runs[i - 1].right, begin = row.runs[i].left;
    const bool in_line = std::any_of(other.runs.begin(), other.runs.end(), [&](const Run& run) {
      return std::fabs(run.right - end) <= tolerance || std::fabs(run.left - begin) <= tolerance;
    });
    if (!in_line) return false;
  }
  return true;
}

// Whether at least two of the rows next to a row line up with it. One may do so by chance.
bool is_in_line(const Rows& rows, size_t row) {
  constexpr size_t kNext = 2;
  size_t count = 0;
  for (size_t i = row - std::min(row, kNext); i < std::min(rows.size(), row + kNext + 1); ++i) {
    count += i != row && lines_up(rows[row], rows[i]) ? 1 : 0;
  }
  return count >= std::min<size_t>(2, rows.size() - 1);
}

// Whether the gap before a run goes on through the rows about it: a gutter, not a space.
bool goes_on(const Rows& rows, size_t row, size_t run) {
  constexpr float kWide = 0.5F;
  const size_t first = row - std::min(row, kReach), last = std::min(rows.size(), row + kReach + 1);
  float left = rows[row].runs[run - 1].right, right = rows[row].runs[run].left;
  for (size_t i = first; i < last; ++i) {
    for (const Run& text : rows[i].runs) {
      if (text.right <= left || text.left >= right) continue;
      if (text.left - left > right - text.right) {
        right = text.left;
      } else {
        left = text.right;
      }
    }
  }
  return last - first > kReach && right - left > kWide * (rows[row].bottom - rows[row].top);
}

// Joins the runs of rows that are lines of a justified column, or evenly spaced and not in line with other rows: their
// gaps are the wide spaces of justified text, and part no cells or columns.
void join_justified(const std::vector<PageWord>& words, Rows& rows) {
  for (const size_t i : justified_lines(words, rows)) {
    std::vector<Run>& runs = rows[i].runs;
    for (size_t run = 1; run < runs.size(); ++run) join(runs.front(), runs[run]);
    runs.resize(1);
  }
  std::vector<std::pair<size_t, std::vector<Run>>> joined;
  for (size_t i = 0; i < rows.size(); ++i) {
    if (rows[i].runs.size() < 2 || is_in_line(rows, i) || !is_even(words, rows, i)) continue;
    std::vector<Run> runs = {rows[i].runs.front()};
    for (size_t run = 1; run < rows[i].runs.size(); ++run) {
      if (goes_on(rows, i, run)) {
        runs.push_back(rows[i].runs[run]);
      } else {
        join(runs.back(), rows[i].runs[run]);
      }
    }
    joined.emplace_back(i, std::move(runs));
  }
  for (auto& [row, runs] : joined) rows[row].runs = std::move(runs);
}

}  // namespace

float quantile(std::vector<float> values, float share) {
  const auto place = values.begin() + static_cast<ptrdiff_t>(share * static_cast<float>(values.size() - 1));
  std::nth_element(values.begin(), place, values.end());
  return *place;
}

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
  join_justified(words, rows);
  return rows;
}

}  // namespace phial::documents
