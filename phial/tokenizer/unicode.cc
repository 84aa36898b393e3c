#include "phial/tokenizer/unicode.h"

#include <utf8proc.h>

namespace phial::tokenizer {

bool is_white_space(char32_t c) {
  if (c < 128) return is_space(ascii::kKinds[c]);
  return c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 ||
         c == 0x202F || c == 0x205F || c == 0x3000;
}

CharKind kind_of(char32_t c) {
  if (c < 128) return ascii::kKinds[c];
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(c))) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
      return CharKind::kLetter;
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO:
      return CharKind::kNumber;
    default:
      return is_white_space(c) ? CharKind::kSpace : CharKind::kOther;
  }
}

}  // namespace phial::tokenizer
