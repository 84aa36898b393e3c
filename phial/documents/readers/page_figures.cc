// Ink is what differs from the paper's colour and is no word's. Cells that hold ink and lie near each other are one
// figure; where they frame text, only what is more than thin straight lines is. What is left of it without such lines
// decides whether it is one at all.
#include "phial/documents/readers/page_figures.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <cstdlib>
#include <map>
#include <numeric>
#include <utility>

namespace phial::documents {
namespace {

// Points.
constexpr float kCell = 4;
constexpr float kPartGap = 12;       // between parts of one figure
constexpr float kShortestSide = 50;  // some 18 mm: a logo in a letter's head is less high
constexpr float kLongRule = 12;
constexpr float kThinRule = 3;
constexpr float kLabelGap = 14;  // between an axis and its labels
constexpr float kCaptionGap = 40;

constexpr double kSmallestShare = 0.015;  // of the page's area
constexpr double kMostLabels = 0.35;      // of a figure's area: more is text in a box
constexpr double kMostText = 0.05;        // the same of running text
constexpr double kLeastDrawn = 0.003;     // of a figure's area, without rules
constexpr double kPanel = 0.9;            // of one colour: paper of its own
constexpr int kInk = 24;                  // of 255: how much a channel differs from the paper
constexpr size_t kMostFigures = 8;        // of a page
constexpr size_t kLabelWords = 4;         // longer runs of words are text
constexpr int kDeepestPanel = 2;          // panels in panels

// Pixels; right and bottom are behind the last.
struct Area {
  int left = 0, top = 0, right = 0, bottom = 0;

  int width() const { return right - left; }
  int height() const { return bottom - top; }
  double size() const { return static_cast<double>(width()) * height(); }
};

using Colour = std::array<uint8_t, 3>;

class Finder {
 public:
  Finder(const Pixels& pixels, float scale, const PageOfWords& page)
      : pixels_(pixels), scale_(scale), page_(page), is_word_(count(pixels.width, pixels.height)) {
    for (size_t first = 0; first < page.words.size();) {
      size_t end = first + 1;
      while (end < page.words.size() && follows(page.words[end - 1], page.words[end])) ++end;
      for (size_t i = first; i < end; ++i) cover(page.words[i], end - first > kLabelWords ? kText : kLabel);
      first = end;
    }
  }

  std::vector<Area> find() { return find_in({0, 0, pixels_.width, pixels_.height}, 0); }

  PageBox box_of(const Area& area) const {
    return {static_cast<float>(area.left) / scale_, static_cast<float>(area.top) / scale_,
            static_cast<float>(area.right) / scale_, static_cast<float>(area.bottom) / scale_};
  }

  // Sixteen by sixteen means of lightness.
  std::string look_of(const Area& area) const {
    constexpr int kSide = 16, kSteps = 16;
    std::string look;
    for (int row = 0; row < kSide; ++row) {
      for (int column = 0; column < kSide; ++column) {
        const Area part{area.left + area.width() * column / kSide, area.top + area.height() * row / kSide,
                        area.left + area.width() * (column + 1) / kSide, area.top + area.height() * (row + 1) / kSide};
        int64_t sum = 0;
        for (int y = part.top; y < part.bottom; ++y) {
          for (int x = part.left; x < part.right; ++x) {
            const Colour colour = colour_at(x, y);
            sum += colour[0] + colour[1] + colour[2];
          }
        }
        const auto mean = static_cast<double>(sum) / std::max(part.size() * 3 * 256, 1.0);
        look.push_back(static_cast<char>('A' + static_cast<int>(mean * kSteps)));
      }
    }
    return look;
  }

 private:
  // What covers a pixel.
  static constexpr uint8_t kLabel = 1, kText = 2;  // a word in a short run, in a long one
  // What is drawn there.
  static constexpr uint8_t kRule = 1, kDrawn = 2;  // part of a thin straight line, of anything else

  void cover(const PageWord& word, uint8_t by) {
    // Letters of some fonts rise over the box that the font names.
    const float more = std::max(1.0F, 0.15F * (word.bottom - word.top));
    const Area area = area_of({word.left - more, word.top - more, word.right + more, word.bottom + more});
    for (int y = area.top; y < area.bottom; ++y) {
      std::fill_n(is_word_.begin() + static_cast<ptrdiff_t>(at(area.left, y)), area.width(), by);
    }
  }

  static size_t count(int width, int height) { return static_cast<size_t>(width) * static_cast<size_t>(height); }
  size_t at(int x, int y) const { return count(pixels_.width, y) + static_cast<size_t>(x); }

  Area area_of(const PageBox& box) const {
    const auto across = [&](float x) {
      return std::clamp(static_cast<int>(std::lround(x * scale_)), 0, pixels_.width);
    };
    const auto down = [&](float y) { return std::clamp(static_cast<int>(std::lround(y * scale_)), 0, pixels_.height); };
    return {across(box.left), down(box.top), across(box.right), down(box.bottom)};
  }

  Colour colour_at(int x, int y) const {
    const uint8_t* pixel = pixels_.data + static_cast<ptrdiff_t>(y) * pixels_.bytes_per_row +
                           static_cast<ptrdiff_t>(x) * pixels_.bytes_per_pixel;
    return {pixel[0], pixel[1], pixel[2]};
  }

  bool is_ink(int x, int y, const Colour& paper) const {
    const Colour colour = colour_at(x, y);
    int most = 0;
    for (size_t i = 0; i < colour.size(); ++i) most = std::max(most, std::abs(colour[i] - paper[i]));
    return most >= kInk;
  }

  // The commonest colour beside words, and its share.
  std::pair<Colour, double> paper_of(const Area& area) const {
    constexpr int kBits = 5;  // shades that are hardly told apart count as one
    constexpr int kShift = 8 - kBits;
    struct Shade {
      size_t times = 0;
      Colour first{};
    };
    std::vector<Shade> shades(size_t{1} << (3 * kBits));
    size_t all = 0;
    for (int y = area.top; y < area.bottom; ++y) {
      for (int x = area.left; x < area.right; ++x) {
        if (is_word_[at(x, y)] != 0) continue;
        const Colour colour = colour_at(x, y);
        Shade& shade = shades[static_cast<size_t>(colour[0] >> kShift) << (2 * kBits) |
                              static_cast<size_t>(colour[1] >> kShift) << kBits | colour[2] >> kShift];
        if (shade.times++ == 0) shade.first = colour;
        ++all;
      }
    }
    if (all == 0) return {{255, 255, 255}, 1};
    const Shade& most = *std::ranges::max_element(shades, {}, &Shade::times);
    return {most.first, static_cast<double>(most.times) / static_cast<double>(all)};
  }

  std::vector<Area> find_in(const Area& area, int depth) {
    const Colour paper = paper_of(area).first;
    const std::vector<uint8_t> drawing = drawing_on(area, paper);
    std::vector<Area> found;
    for (const Area& part : parts_of(area, area, drawing, kRule)) {
      if (!is_large(part)) continue;
      if (share_of_words(part, kText) <= kMostText || has_caption(part)) {
        add(part, {area, paper, drawing}, depth, found);
        continue;
      }
      // A frame around text: what stands in it beside rules.
      for (const Area& inner : parts_of(part, area, drawing, kDrawn)) {
        if (is_large(inner) && share_of_words(inner, kText) <= kMostText)
          add(inner, {area, paper, drawing}, depth, found);
      }
    }
    return found;
  }

  struct Sheet {
    Area area;
    Colour paper;
    std::span<const uint8_t> drawing;
  };

  void add(const Area& part, const Sheet& sheet, int depth, std::vector<Area>& found) {
    if (share_of_words(part, kLabel) > kMostLabels) return;
    const auto [colour, share] = paper_of(part);
    if (share < kPanel || !differs(colour, sheet.paper)) {
      if (is_drawn(part, sheet)) found.push_back(with_labels(part));
      return;
    }
    // A panel is as much of a figure as what stands in it.
    if (depth == kDeepestPanel) return;
    const std::vector<Area> inside = find_in(part, depth + 1);
    const auto fills = [&](const Area& one) { return one.size() >= part.size() / 4; };
    if (std::ranges::any_of(inside, fills)) {
      found.push_back(with_labels(part));
    } else {
      found.insert(found.end(), inside.begin(), inside.end());
    }
  }

  static bool differs(const Colour& a, const Colour& b) {
    return std::abs(a[0] - b[0]) >= kInk || std::abs(a[1] - b[1]) >= kInk || std::abs(a[2] - b[2]) >= kInk;
  }

  bool is_large(const Area& area) const {
    const double page = static_cast<double>(pixels_.width) * pixels_.height;
    const float shortest = kShortestSide * scale_;
    return static_cast<float>(std::min(area.width(), area.height())) >= shortest &&
           area.size() >= kSmallestShare * page;
  }

  // Of its pixels, those that words cover: of a run as long as kText, or any.
  double share_of_words(const Area& area, uint8_t least) const {
    size_t words = 0;
    for (int y = area.top; y < area.bottom; ++y) {
      for (int x = area.left; x < area.right; ++x) words += is_word_[at(x, y)] >= least ? 1 : 0;
    }
    return static_cast<double>(words) / std::max(area.size(), 1.0);
  }

  // For each pixel of the area what is drawn there beside words. A rule may run behind words.
  std::vector<uint8_t> drawing_on(const Area& area, const Colour& paper) const {
    const int width = area.width(), height = area.height();
    std::vector<uint8_t> drawing(count(width, height));
    const auto here = [&](int x, int y) { return count(width, y) + static_cast<size_t>(x); };
    for (int y = 0; y < height; ++y) {
      for (int x = 0; x < width; ++x) drawing[here(x, y)] = is_ink(area.left + x, area.top + y, paper) ? kDrawn : 0;
    }
    // The lengths of the runs of ink that each pixel lies in, across and down.
    std::vector<int> across(drawing.size()), down(drawing.size());
    const auto measure = [&](int lines, int length, const auto& place, std::vector<int>& runs) {
      for (int line = 0; line < lines; ++line) {
        for (int from = 0; from < length;) {
          int to = from;
          while (to < length && drawing[place(line, to)] != 0) ++to;
          for (int i = from; i < to; ++i) runs[place(line, i)] = to - from;
          from = to + 1;
        }
      }
    };
    measure(height, width, [&](int y, int x) { return here(x, y); }, across);
    measure(width, height, here, down);
    const auto is_rule = [&](int along, int through) {
      return static_cast<float>(along) >= kLongRule * scale_ && static_cast<float>(through) <= kThinRule * scale_;
    };
    for (int y = 0; y < height; ++y) {
      for (int x = 0; x < width; ++x) {
        const size_t i = here(x, y);
        if (is_word_[at(area.left + x, area.top + y)] != 0) drawing[i] = 0;
        if (drawing[i] != 0 && (is_rule(across[i], down[i]) || is_rule(down[i], across[i]))) drawing[i] = kRule;
      }
    }
    return drawing;
  }

  // Boxes around cells of `part` with drawing of at least a kind that lie near each other. `drawing` is of `area`.
  std::vector<Area> parts_of(const Area& part_of_it, const Area& area, std::span<const uint8_t> drawing,
                             uint8_t least) const {
    const int side = std::max(1, static_cast<int>(std::lround(kCell * scale_)));
    const int reach = std::max(1, static_cast<int>(std::lround(kPartGap * scale_ / static_cast<float>(side))));
    const int across = (area.width() + side - 1) / side, down = (area.height() + side - 1) / side;
    std::vector<uint8_t> cells(count(across, down));
    for (int y = part_of_it.top; y < part_of_it.bottom; ++y) {
      for (int x = part_of_it.left; x < part_of_it.right; ++x) {
        if (drawing[count(area.width(), y - area.top) + static_cast<size_t>(x - area.left)] < least) continue;
        cells[count(across, (y - area.top) / side) + static_cast<size_t>((x - area.left) / side)] = 1;
      }
    }
    std::vector<Area> parts;
    std::vector<std::pair<int, int>> open;
    for (int row = 0; row < down; ++row) {
      for (int column = 0; column < across; ++column) {
        if (cells[count(across, row) + static_cast<size_t>(column)] == 0) continue;
        Area part{column, row, column + 1, row + 1};
        const auto take = [&](int x, int y) {
          cells[count(across, y) + static_cast<size_t>(x)] = 0;
          open.emplace_back(x, y);
        };
        take(column, row);
        while (!open.empty()) {
          const auto [x, y] = open.back();
          open.pop_back();
          part = {std::min(part.left, x), std::min(part.top, y), std::max(part.right, x + 1),
                  std::max(part.bottom, y + 1)};
          for (int v = std::max(0, y - reach); v <= std::min(down - 1, y + reach); ++v) {
            for (int u = std::max(0, x - reach); u <= std::min(across - 1, x + reach); ++u) {
              if (cells[count(across, v) + static_cast<size_t>(u)] != 0) take(u, v);
            }
          }
        }
        parts.push_back({area.left + part.left * side, area.top + part.top * side,
                         std::min(area.right, area.left + part.right * side),
                         std::min(area.bottom, area.top + part.bottom * side)});
      }
    }
    return join_overlapping(std::move(parts));
  }

  static std::vector<Area> join_overlapping(std::vector<Area> parts) {
    constexpr size_t kMostParts = 400;  // a page of specks has no figures
    if (parts.size() > kMostParts) return {};
    for (bool joined = true; joined;) {
      joined = false;
      for (size_t i = 0; i < parts.size() && !joined; ++i) {
        for (size_t k = i + 1; k < parts.size() && !joined; ++k) {
          Area& a = parts[i];
          const Area& b = parts[k];
          if (a.left >= b.right || b.left >= a.right || a.top >= b.bottom || b.top >= a.bottom) continue;
          a = {std::min(a.left, b.left), std::min(a.top, b.top), std::max(a.right, b.right),
               std::max(a.bottom, b.bottom)};
          parts.erase(parts.begin() + static_cast<ptrdiff_t>(k));
          joined = true;
        }
      }
    }
    return parts;
  }

  // Whether more is drawn than the rules of a table or a frame. Where a caption says so, rules are enough: boxes and
  // arrows are a figure.
  bool is_drawn(const Area& area, const Sheet& sheet) const {
    if (has_caption(area)) return true;
    size_t drawn = 0;
    Area extent{area.right, area.bottom, area.left, area.top};
    for (int y = area.top; y < area.bottom; ++y) {
      for (int x = area.left; x < area.right; ++x) {
        const size_t i = count(sheet.area.width(), y - sheet.area.top) + static_cast<size_t>(x - sheet.area.left);
        if (sheet.drawing[i] != kDrawn) continue;
        ++drawn;
        extent = {std::min(extent.left, x), std::min(extent.top, y), std::max(extent.right, x + 1),
                  std::max(extent.bottom, y + 1)};
      }
    }
    return static_cast<double>(drawn) >= kLeastDrawn * area.size() && extent.width() * 3 >= area.width() &&
           extent.height() * 3 >= area.height();
  }

  // A line below or above that begins as captions do.
  bool has_caption(const Area& area) const {
    const PageBox box = box_of(area);
    for (size_t i = 0; i < page_.words.size(); ++i) {
      const PageWord& word = page_.words[i];
      const bool below = word.top >= box.bottom - kCell && word.top <= box.bottom + kCaptionGap;
      const bool above = word.bottom <= box.top + kCell && word.bottom >= box.top - kCaptionGap;
      if ((!below && !above) || word.left > box.right || word.right < box.left) continue;
      const std::string next = i + 1 < page_.words.size() ? page_.words[i + 1].text : "";
      if (is_caption(word.text + " " + next)) return true;
    }
    return false;
  }

  // The figure with short texts that stand close to its edges: the numbers on its axes, a legend.
  Area with_labels(const Area& area) const {
    const PageBox inner = box_of(area);
    PageBox box = inner;
    const auto is_near = [&](const PageWord& word) {
      return word.right >= inner.left - kLabelGap && word.left <= inner.right + kLabelGap &&
             word.bottom >= inner.top - kLabelGap && word.top <= inner.bottom + kLabelGap;
    };
    for (size_t first = 0; first < page_.words.size();) {
      size_t end = first + 1;
      while (end < page_.words.size() && follows(page_.words[end - 1], page_.words[end])) ++end;
      for (size_t i = first; end - first <= kLabelWords && i < end; ++i) {
        const PageWord& word = page_.words[i];
        if (!is_near(word)) continue;
        box = {std::min(box.left, word.left), std::min(box.top, word.top), std::max(box.right, word.right),
               std::max(box.bottom, word.bottom)};
      }
      first = end;
    }
    return area_of(box);
  }

  // On one line, a space apart.
  static bool follows(const PageWord& before, const PageWord& word) {
    constexpr float kOnOneLine = 0.5F;
    const float height = std::max(before.bottom - before.top, 1.0F);
    return overlap_share(before.top, before.bottom, word.top, word.bottom) >= kOnOneLine &&
           std::fabs(word.left - before.right) < height;
  }

  const Pixels& pixels_;
  float scale_;
  const PageOfWords& page_;
  std::vector<uint8_t> is_word_;
};

}  // namespace

std::vector<PageFigure> find_figures(const Pixels& pixels, float pixels_per_point, const PageOfWords& page) {
  Finder finder(pixels, pixels_per_point, page);
  std::vector<Area> areas = finder.find();
  std::ranges::stable_sort(areas, std::greater<>(), &Area::size);
  if (areas.size() > kMostFigures) areas.resize(kMostFigures);
  std::ranges::stable_sort(areas, {}, &Area::top);
  std::vector<PageFigure> figures;
  figures.reserve(areas.size());
  for (const Area& area : areas) figures.push_back({page.number, finder.box_of(area), finder.look_of(area)});
  return figures;
}

void remove_repeated_figures(std::vector<PageFigure>& figures) {
  constexpr size_t kMany = 3;
  constexpr float kSamePlace = 3;
  const auto is_same = [](const PageFigure& a, const PageFigure& b) {
    return a.look == b.look && std::fabs(a.box.left - b.box.left) < kSamePlace &&
           std::fabs(a.box.top - b.box.top) < kSamePlace && std::fabs(a.box.right - b.box.right) < kSamePlace &&
           std::fabs(a.box.bottom - b.box.bottom) < kSamePlace;
  };
  std::map<std::string, std::vector<size_t>> alike;
  for (size_t i = 0; i < figures.size(); ++i) alike[figures[i].look].push_back(i);
  std::vector<PageFigure> kept;
  for (size_t i = 0; i < figures.size(); ++i) {
    size_t times = 0;
    bool is_first = true;
    for (const size_t other : alike[figures[i].look]) {
      if (!is_same(figures[i], figures[other])) continue;
      is_first = is_first && other >= i;
      ++times;
    }
    if (is_first && times < kMany) kept.push_back(figures[i]);
  }
  figures = std::move(kept);
}

bool is_caption(std::string_view text) {
  static constexpr std::array kWords = {"fig",   "figure",  "figura",  "figur", "abb",   "abbildung",
                                        "bild",  "chart",   "diagram", "graph", "photo", "picture",
                                        "image", "exhibit", "plate",   "scheme"};
  size_t letters = 0;
  std::string word;
  while (letters < text.size() && std::isalpha(static_cast<unsigned char>(text[letters])) != 0) {
    word.push_back(static_cast<char>(std::tolower(static_cast<unsigned char>(text[letters++]))));
  }
  if (std::ranges::find(kWords, word) == kWords.end()) return false;
  const size_t number = text.find_first_not_of(". \n", letters);
  return number != std::string_view::npos && std::isdigit(static_cast<unsigned char>(text[number])) != 0;
}

}  // namespace phial::documents
