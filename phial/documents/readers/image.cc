// Pictures: whatever text is recognised in them.
#include <algorithm>
#include <map>
#include <tuple>

#include "phial/documents/readers/readers.h"
#include "phial/documents/readers/recognised.h"

namespace phial::documents {

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
  std::map<std::tuple<int, int, int>, float> heights;
  for (const OcrWord& word : recognised.words) {
    float& height = heights[{word.block, word.paragraph, word.line}];
    height = std::max(height, static_cast<float>(word.bottom - word.top) * scale);
  }
  for (const OcrWord& word : recognised.words) {
    if (word.confidence < kLeastConfidence) continue;
    PageWord placed{.text = clean_text(word.text, WhiteSpace::kCollapse)};
    placed.left = static_cast<float>(word.left) * scale;
    placed.top = static_cast<float>(word.top) * scale;
    placed.right = static_cast<float>(word.right) * scale;
    placed.bottom = static_cast<float>(word.bottom) * scale;
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
