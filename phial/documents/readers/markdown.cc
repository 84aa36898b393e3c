// Markdown: cmark-gfm makes HTML of it (with tables and footnotes), and the HTML reader makes blocks of that. HTML that
// the author wrote in between thus meets the same rules about what is shown. A front matter block is read for its title
// and left out.
#include <cmark-gfm-core-extensions.h>
#include <cmark-gfm.h>

#include <algorithm>
#include <memory>

#include "phial/documents/charset.h"
#include "phial/documents/readers/html.h"
#include "phial/documents/readers/readers.h"

namespace phial::documents {
namespace {

std::string_view unquoted(std::string_view line) {
  const size_t first = line.find_first_not_of(" \t\r\"'");
  if (first == std::string_view::npos) return {};
  return line.substr(first, line.find_last_not_of(" \t\r\"'") - first + 1);
}

// A line of YAML or TOML: a key, or what belongs to the one above.
bool is_metadata(std::string_view line) {
  constexpr std::string_view kMore = " \t#-[]}";
  if (unquoted(line).empty() || kMore.find(line.front()) != std::string_view::npos) return true;
  const size_t separator = line.find_first_of(":=");
  return separator != std::string_view::npos && separator > 0 && separator < 60;
}

// The text after a "---" ... "---" block at its very start (YAML) or "+++" (TOML); the whole text if there is none.
std::string_view skip_front_matter(std::string_view text, DocumentBuilder& builder) {
  const std::string_view fence = text.substr(0, 3);
  if (fence != "---" && fence != "+++") return text;
  std::string_view title;
  size_t at = text.find('\n');
  if (at == std::string_view::npos || !unquoted(text.substr(3, at - 3)).empty()) return text;
  while (at != std::string_view::npos) {
    const size_t start = at + 1;
    at = text.find('\n', start);
    const std::string_view line = text.substr(start, at == std::string_view::npos ? at : at - start);
    if (unquoted(line) == fence || unquoted(line) == "...") {
      builder.set_title(title);
      return at == std::string_view::npos ? std::string_view() : text.substr(at + 1);
    }
    const bool is_first = text.find('\n') + 1 == start;
    if ((is_first && unquoted(line).empty()) || !is_metadata(line)) return text;  // a line drawn across the page, then
    const size_t separator = line.find_first_of(":=");
    if (separator != std::string_view::npos && unquoted(line.substr(0, separator)) == "title") {
      title = unquoted(line.substr(separator + 1));
    }
  }
  return text;  // never closed: a thematic break, then
}

std::string to_html(std::string_view markdown) {
  constexpr int kOptions = CMARK_OPT_UNSAFE | CMARK_OPT_FOOTNOTES | CMARK_OPT_VALIDATE_UTF8;
  cmark_gfm_core_extensions_ensure_registered();
  const std::unique_ptr<cmark_parser, decltype(&cmark_parser_free)> parser(cmark_parser_new(kOptions),
                                                                           cmark_parser_free);
  for (const char* name : {"table", "strikethrough", "tasklist"}) {
    if (cmark_syntax_extension* extension = cmark_find_syntax_extension(name)) {
      cmark_parser_attach_syntax_extension(parser.get(), extension);
    }
  }
  cmark_parser_feed(parser.get(), markdown.data(), markdown.size());
  const std::unique_ptr<cmark_node, decltype(&cmark_node_free)> root(cmark_parser_finish(parser.get()),
                                                                     cmark_node_free);
  const std::unique_ptr<char, decltype(&free)> html(
      cmark_render_html(root.get(), kOptions, cmark_parser_get_syntax_extensions(parser.get())), free);
  return html.get();
}

}  // namespace

Status read_markdown(ReaderJob& job) {
  PHIAL_TRY(const DecodedText decoded, to_utf8(job.source.bytes));
  const std::string_view body = skip_front_matter(decoded.text, job.builder);
  return append_html(to_html(body), {.use_title = false}, job.builder);
}

}  // namespace phial::documents
