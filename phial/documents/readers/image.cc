// Pictures: whatever text is recognised in them.
#include <algorithm>
#include <cmath>
#include <map>
#include <tuple>
#include <vector>

#include "phial/documents/readers/readers.h"
#include "phial/documents/readers/recognised.h"

namespace phial::documents {

namespace {

using LineOfWords = std::tuple<int, int, int>;  // block, paragraph, line

// How much a line falls for each pixel to the right: the middle of what the page's long lines say.
double slope_of(const std::map<LineOfWords, std::vector<const OcrWord*>>& lines) {
  constexpr size_t kEnoughWords = 4;
  std::vector<double> slopes;
  for (const auto& [line, words] : lines) {
    if (words.size() < kEnoughWords) continue;
    double x = 0, y = 0, xx = 0, xy = 0;
    const auto n = static_cast<double>(words.size());
    for (const OcrWord* word : words) {
      const double at = (word->left + word->right) / 2.0, middle = (word->top + word->bottom) / 2.0;
      x += at, y += middle, xx += at * at, xy += at * middle;
    }
    const double spread = n * xx - x * x;
    if (spread > 0) slopes.push_back((n * xy - x * y) / spread);
  }
  if (slopes.empty()) return 0;
  const auto middle = slopes.begin() + static_cast<ptrdiff_t>(slopes.size() / 2);
  std::nth_element(slopes.begin(), middle, slopes.end());
  return *middle;
}

// Lines of about the usual height are set in one type: how high their letters are measured differs by what they say.
void even_out(std::map<LineOfWords, float>& heights) {
  constexpr float kAbout = 0.2F;
  if (heights.empty()) return;
  std::vector<float> sorted;
  for (const auto& [line, height] : heights) sorted.push_back(height);
  const auto middle = sorted.begin() + static_cast<ptrdiff_t>(sorted.size() / 2);
  std::nth_element(sorted.begin(), middle, sorted.end());
  const float usual = *middle;
  for (auto& [line, height] : heights) {
    if (std::fabs(height - usual) <= kAbout * usual) height = usual;
  }
}

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
  // All words of a line have one size, since the height of a word tells whether it has a "g" and little else.
  std::map<LineOfWords, float> heights;
  std::map<LineOfWords, std::vector<const OcrWord*>> lines;
  for (const OcrWord& word : recognised.words) {
    const bool lies = word.rotation % 2 != 0;
    float& height = heights[{word.block, word.paragraph, word.line}];
    height = std::max(height, static_cast<float>(lies ? word.right - word.left : word.bottom - word.top) * scale);
    if (word.rotation == 0) lines[{word.block, word.paragraph, word.line}].push_back(&word);
  }
  even_out(heights);
  const auto slope = static_cast<float>(slope_of(lines));
  for (const OcrWord& word : recognised.words) {
    if (word.confidence < kLeastConfidence) continue;
    PageWord placed{.text = clean_text(word.text, WhiteSpace::kCollapse)};
    placed.left = static_cast<float>(word.left) * scale;
    placed.top = static_cast<float>(word.top) * scale;
    placed.right = static_cast<float>(word.right) * scale;
    placed.bottom = static_cast<float>(word.bottom) * scale;
    placed.rotation = word.rotation;
    if (word.rotation == 0) placed.drop = slope * ((placed.left + placed.right) / 2 - page.width / 2);
    placed.top -= placed.drop;
    placed.bottom -= placed.drop;
    placed.size = heights[{word.block, word.paragraph, word.line}];
    if (!placed.text.empty()) page.words.push_back(std::move(placed));
  }
  return page;
}

Status read_image(ReaderJob& job) {
  if (job.options.ocr == nullptr) {
    job.ocr_would_help = true;
    return Error{Code::kUnsupported, "this is a picture, and no text recognition is at hand",
                 "install Tesseract (apt install tesseract-ocr) and add it again"};
  }
  PHIAL_TRY(const OcrPage recognised, job.options.ocr->recognise_file(job.source.bytes));
  constexpr double kPointsPerPixel = 1;  // boxes of a picture are in its own pixels
  auto paragraphs = lay_out(page_of_recognised(recognised, 1, kPointsPerPixel));
  if (paragraphs.empty()) {
    return Error{Code::kUnsupported, "no text was recognised in the picture", "there is nothing to index"};
  }
  write_paragraphs(paragraphs, job.builder);
  return ok();
}

}  // namespace phial::documents
