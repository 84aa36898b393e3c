#include "phial/rag/graphemes.h"

#include <unicode/brkiter.h>
#include <unicode/locid.h>
#include <unicode/utext.h>

#include <algorithm>
#include <memory>

#include "phial/base/utf8.h"

namespace phial::rag {

size_t grapheme_floor(std::string_view text, size_t at) {
  constexpr size_t kReach = 256;  // bytes; a family of four with skin tones takes 41
  at = utf8_floor(text, at);
  if (at == 0 || at == text.size()) return at;
  size_t from = utf8_floor(text, at - std::min(at, kReach));
  const size_t space = text.find_last_of(" \n\t", at - 1);
  const bool is_border = from == 0 || (space != std::string_view::npos && space >= from);
  if (space != std::string_view::npos && space > from) from = space;
  // Whether there is a border depends on what stands before it and on the next code point.
  const std::string_view window = text.substr(from, at + static_cast<size_t>(decode_utf8(text, at).length) - from);
  UErrorCode status = U_ZERO_ERROR;
  const std::unique_ptr<icu::BreakIterator> breaks(
      icu::BreakIterator::createCharacterInstance(icu::Locale::getRoot(), status));
  if (U_FAILURE(status)) return at;
  UText* view = utext_openUTF8(nullptr, window.data(), static_cast<int64_t>(window.size()), &status);
  if (U_FAILURE(status)) return at;
  breaks->setText(view, status);
  const auto offset = static_cast<int32_t>(at - from);
  int32_t border = offset;
  if (U_SUCCESS(status) && breaks->isBoundary(offset) == 0) border = breaks->preceding(offset);
  utext_close(view);
  return border > 0 || is_border ? from + static_cast<size_t>(std::max(border, 0)) : at;
}

}  // namespace phial::rag
