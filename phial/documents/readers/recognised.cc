// Recognisers give the box of a word's ink. PDF files give the box of its type, which is the same for all words of a
// line, and that is what the layout goes by: how large the type is and where it stands is found here, from which
// letters the words have.
#include "phial/documents/readers/recognised.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "phial/documents/builder.h"

namespace phial::documents {
namespace {

constexpr float kHeight = 0.72F, kLowHeight = 0.5F, kDepth = 0.21F;  // of letters, in type of size 1

using LineOfWords = std::tuple<int, int, int>;  // block, paragraph, line

// How far the ink of a word reaches above and below the line that its letters stand on, in type of size 1. Nothing is
// known of words without letters or digits.
struct Ink {
  bool known = false;
  float above = kLowHeight, below = 0;
};

Ink ink_of(std::string_view word) {
  constexpr std::string_view kLow = "acegmnopqrsuvwxyz", kDeep = "gjpqy()[]";
  Ink ink;
  for (const char c : word) {
    const bool counts = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c & 0x80) != 0;
    ink.known = ink.known || counts;
    if (counts && kLow.find(c) == std::string_view::npos) ink.above = kHeight;
    if (kDeep.find(c) != std::string_view::npos) ink.below = kDepth;
  }
  return ink;
}

float middle_of(std::vector<float>& values) {
  const auto middle = values.begin() + static_cast<ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

struct Line {
  std::vector<const OcrWord*> words = {};
  float size = 0;  // of its type, in pixels
  float base = 0;  // that its letters stand on, if the page is straightened
};

using Lines = std::map<LineOfWords, Line>;

Lines lines_of(const OcrPage& page) {
  Lines lines;
  for (const OcrWord& word : page.words) lines[{word.block, word.paragraph, word.line}].words.push_back(&word);
  return lines;
}

// How much a line falls for each pixel to the right: the middle of what the page's long lines say.
float slope_of(const Lines& lines) {
  constexpr size_t kEnoughWords = 4;
  std::vector<float> slopes;
  for (const auto& [number, line] : lines) {
    if (line.words.size() < kEnoughWords || line.words.front()->rotation != 0) continue;
    double x = 0, y = 0, xx = 0, xy = 0;
    const auto n = static_cast<double>(line.words.size());
    for (const OcrWord* word : line.words) {
      const double at = (word->left + word->right) / 2.0, middle = (word->top + word->bottom) / 2.0;
      x += at, y += middle, xx += at * at, xy += at * middle;
    }
    const double spread = n * xx - x * x;
    if (spread > 0) slopes.push_back(static_cast<float>((n * xy - x * y) / spread));
  }
  return slopes.empty() ? 0 : middle_of(slopes);
}

// Finds what the words of a page have in common, and places each.
class Straightener {
 public:
  explicit Straightener(const OcrPage& page)
      : half_width_(static_cast<float>(page.width) / 2), lines_(lines_of(page)), slope_(slope_of(lines_)) {
    for (auto& [number, line] : lines_) line.size = type_size(line);
    even_out();
    for (auto& [number, line] : lines_) {
      std::vector<float> bases;
      bases.reserve(line.words.size());
      for (const OcrWord* word : line.words) bases.push_back(base_of(*word, line.size));
      line.base = middle_of(bases);
    }
  }

  PageWord place(const OcrWord& word) const {
    const Line& line = lines_.at({word.block, word.paragraph, word.line});
    PageWord placed;
    placed.left = static_cast<float>(word.left);
    placed.top = static_cast<float>(word.top);
    placed.right = static_cast<float>(word.right);
    placed.bottom = static_cast<float>(word.bottom);
    placed.rotation = word.rotation;
    placed.size = line.size;
    if (word.rotation != 0) return placed;
    const float base = fits(word, line.size) ? base_of(word, line.size) : line.base;
    placed.top = base - kHeight * line.size;
    placed.bottom = base + kDepth * line.size;
    placed.drop = drop_of(word);
    return placed;
  }

 private:
  float drop_of(const OcrWord& word) const {
    return slope_ * (static_cast<float>(word.left + word.right) / 2 - half_width_);
  }

  // Boxes of words that are askew are higher by this.
  float askew(const OcrWord& word) const {
    return word.rotation != 0 ? 0 : std::fabs(slope_) * static_cast<float>(word.right - word.left);
  }

  // Across the line.
  float height_of(const OcrWord& word) const {
    const bool lies = word.rotation % 2 != 0;
    const auto height = static_cast<float>(lies ? word.right - word.left : word.bottom - word.top);
    return std::max(height - askew(word), height / 2);
  }

  float base_of(const OcrWord& word, float size) const {
    return static_cast<float>(word.bottom) - askew(word) / 2 - drop_of(word) - ink_of(word.text).below * size;
  }

  // Now and then a word's box reaches into other lines.
  bool fits(const OcrWord& word, float size) const {
    constexpr float kAbout = 0.3F;
    const Ink ink = ink_of(word.text);
    const float expected = (ink.above + ink.below) * size;
    return ink.known && std::fabs(height_of(word) - expected) <= kAbout * expected;
  }

  float type_size(const Line& line) const {
    std::vector<float> sizes, heights;
    for (const OcrWord* word : line.words) {
      const Ink ink = ink_of(word->text);
      heights.push_back(height_of(*word));
      if (ink.known) sizes.push_back(heights.back() / (ink.above + ink.below));
    }
    return middle_of(sizes.empty() ? heights : sizes);
  }

  // Lines of about one size are set in one type: measuring is not as exact as printing.
  void even_out() {
    constexpr float kAbout = 0.1F;
    std::vector<Line*> uneven;
    for (auto& [number, line] : lines_) uneven.push_back(&line);
    while (!uneven.empty()) {
      std::vector<float> sizes;
      sizes.reserve(uneven.size());
      for (const Line* line : uneven) sizes.push_back(line->size);
      const float usual = middle_of(sizes);
      std::erase_if(uneven, [usual](Line* line) {
        const bool about = std::fabs(line->size - usual) <= kAbout * usual;
        if (about) line->size = usual;
        return about;
      });
    }
  }

  float half_width_;
  Lines lines_;
  float slope_;
};

}  // namespace

PageOfWords page_of_recognised(const OcrPage& recognised, int number, double points_per_pixel) {
  constexpr float kLeastConfidence = 30, kLeastOnAverage = 55;  // photographs give a few doubtful scraps
  const auto scale = static_cast<float>(points_per_pixel);
  PageOfWords page{.number = number,
                   .width = static_cast<float>(recognised.width) * scale,
                   .height = static_cast<float>(recognised.height) * scale};
  double confidence = 0, characters = 0;
  for (const OcrWord& word : recognised.words) {
    confidence += word.confidence * static_cast<double>(word.text.size());
    characters += static_cast<double>(word.text.size());
  }
  if (confidence < kLeastOnAverage * characters) return page;
  const Straightener straightener(recognised);
  for (const OcrWord& word : recognised.words) {
    if (word.confidence < kLeastConfidence) continue;
    PageWord placed = straightener.place(word);
    for (float* length : {&placed.left, &placed.top, &placed.right, &placed.bottom, &placed.size, &placed.drop}) {
      *length *= scale;
    }
    placed.text = clean_text(word.text, WhiteSpace::kCollapse);
    if (!placed.text.empty()) page.words.push_back(std::move(placed));
  }
  return page;
}

}  // namespace phial::documents
