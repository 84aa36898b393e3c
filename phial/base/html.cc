#include "phial/base/html.h"

#include "phial/base/utf8.h"

namespace phial {

std::string html_text(std::string_view text) {
  std::string out;
  for (const char c : printable(text, 4 * text.size() + 4)) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

}  // namespace phial
