// HTML as a person sees it -> blocks. Shared by the readers whose formats are HTML underneath.
#pragma once

#include <string>
#include <string_view>

#include "phial/base/result.h"
#include "phial/documents/builder.h"

namespace phial::documents {

struct HtmlOptions {
  bool xhtml = false;     // <a/> is an empty element, as in EPUB
  bool use_title = true;  // <title> becomes the document's
};

// `html`: valid UTF-8. Elements that are not shown (attributes, inline style, simple rules of the page's own style
// sheets) are left out and counted in a warning, because instructions are planted there.
Status append_html(std::string_view html, const HtmlOptions& options, DocumentBuilder& builder);

// What HTML calls white space.
inline bool is_html_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f'; }

// bounded_html() keeps trees far below; the parser may add levels of its own.
inline constexpr int kMaxTreeDepth = 3000;

// The charset that a page declares in its first bytes; empty if none.
std::string declared_charset(std::string_view bytes);

// html_tags.cc: `html` with what would make an HTML parser slow or deep taken out: start tags nested deeper than a few
// hundred, tags of thousands of attributes; with `xhtml`, empty elements are given end tags. Text stays.
std::string bounded_html(std::string_view html, bool xhtml);

}  // namespace phial::documents
