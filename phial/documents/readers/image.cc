// Pictures: whatever text is recognised in them.
#include "phial/documents/readers/readers.h"
#include "phial/documents/readers/recognised.h"

namespace phial::documents {

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
