// Picture files: a figure, the words of the file's name, and whatever text is recognised.
#include "phial/formats/image.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "phial/documents/readers/readers.h"
#include "phial/documents/readers/recognised.h"

namespace phial::documents {
namespace {

constexpr int kLeastSide = 32;  // pixels, of a picture without text: icons and spacers are no documents

// "sales_2024-q3.png" -> "sales 2024 q3".
std::string words_of_name(std::string_view name) {
  std::string words(name.substr(0, std::min(name.rfind('.'), name.size())));
  std::ranges::replace_if(words, [](char c) { return c == '_' || c == '-' || c == '.'; }, ' ');
  words = clean_text(words, WhiteSpace::kCollapse);
  return words.find_first_not_of(" \n") == std::string::npos ? "picture" : words;
}

Result<formats::Image> decoded(const Source& source) {
  return formats::decode_image(std::as_bytes(std::span(source.bytes)));
}

Result<std::vector<PageParagraph>> recognised_paragraphs(ReaderJob& job) {
  if (job.options.ocr == nullptr) {
    job.ocr_would_help = true;
    return Error{Code::kUnsupported, "this is a picture, and no text recognition is at hand",
                 "install Tesseract (apt install tesseract-ocr) and add it again"};
  }
  PHIAL_TRY(const OcrPage recognised, job.options.ocr->recognise_file(job.source.bytes));
  constexpr double kPointsPerPixel = 1;  // boxes of a picture are in its own pixels
  return lay_out(page_of_recognised(recognised, 1, kPointsPerPixel));
}

}  // namespace

// What cannot be shown to a model (TIFF) may have text all the same, and what has none may be shown.
Status read_image(ReaderJob& job) {
  std::optional<formats::Figure> figure;
  auto picture = decoded(job.source);
  if (picture) {
    figure =
        formats::Figure{.right = static_cast<float>(picture->width), .bottom = static_cast<float>(picture->height)};
  }
  const Status undecoded = picture ? ok() : Status(std::move(picture).error());
  picture = formats::Image{};  // before text recognition takes its memory
  auto paragraphs = recognised_paragraphs(job);
  const bool is_icon = figure && std::min(figure->right, figure->bottom) < kLeastSide;
  if (is_icon && (!paragraphs || paragraphs->empty())) {
    return Error{Code::kUnsupported,
                 "the picture has less than " + std::to_string(kLeastSide) + " pixels on a side, and no text",
                 "there is nothing to index"};
  }
  if (!paragraphs && !figure) {
    // For damage the decoder's word, for a format that it does not know the recogniser's.
    return undecoded.error().code == Code::kUnsupported ? Status(std::move(paragraphs).error()) : undecoded;
  }
  if (paragraphs && paragraphs->empty() && !figure) {
    return Error{Code::kUnsupported, "no text was recognised in the picture", "there is nothing to index"};
  }
  if (figure) job.builder.add({.kind = BlockKind::kHeading, .level = 1}, words_of_name(job.source.name));
  if (paragraphs) {
    write_paragraphs(*paragraphs, job.builder);
  } else {
    job.lack("text in the picture was not recognised: " + paragraphs.error().message);
  }
  if (figure) {
    figure->end = job.builder.text_bytes();
    job.builder.add_figure(*figure);
  }
  return ok();
}

Result<formats::Image> draw_image(const Source& source, const formats::Figure& figure) {
  if (figure.page != 0) return Error{Code::kInvalid, "a picture file has no pages", ""};
  return decoded(source);
}

}  // namespace phial::documents
