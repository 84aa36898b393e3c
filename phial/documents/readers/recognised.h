// Recognised words as words on a page.
#pragma once

#include "phial/documents/ocr.h"
#include "phial/documents/readers/page_layout.h"

namespace phial::documents {

// `points_per_pixel` scales the boxes. Words that the recogniser hardly believes in are left out.
PageOfWords page_of_recognised(const OcrPage& recognised, int number, double points_per_pixel);

}  // namespace phial::documents
