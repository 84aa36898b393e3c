// Regions of a page -> lines and paragraphs.
#include "phial/documents/readers/page_layout.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <utility>

#include "phial/documents/readers/page_direction.h"
#include "phial/documents/readers/page_regions.h"
#include "phial/documents/readers/page_rows.h"

namespace phial::documents {
namespace {

constexpr size_t kMostWords = 20'000;  // of a page that is laid out; denser ones are no pages

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
  for (const Region& region : regions_of(words)) {
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
