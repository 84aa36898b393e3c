#include "phial/train/plot_page.h"

#include <span>

#include "phial/base/html.h"
#include "phial/base/mapped_file.h"
#include "phial/train/curve_plot.h"

namespace phial::train {
namespace {

constexpr const char* kPageStyle =
    "body{font:15px/1.5 system-ui,sans-serif;max-width:1020px;margin:2rem auto;padding:0 1rem;background:var(--back);"
    "color:var(--ink)}h1{font-size:1.4rem;overflow-wrap:anywhere}"
    "dl{display:flex;flex-wrap:wrap;gap:.75rem 2rem;margin:1.5rem 0}dt,small{font-size:.8rem;color:var(--soft)}"
    "dd{margin:0;font-size:1.15rem;font-variant-numeric:tabular-nums}"
    "main{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,26rem),1fr));gap:1.5rem 2rem}"
    "figure{margin:0;min-width:0;max-width:36rem}h2{display:inline;font-size:1rem;margin-right:.5rem;overflow-wrap:"
    "anywhere}"
    "figcaption{padding-left:11.25%;line-height:1.3}.key{display:inline-block;margin-right:.75rem}"
    ".key::before{content:'';display:inline-block;width:1.1rem;height:3px;margin-right:.35rem;vertical-align:middle;"
    "background:var(--line)}.key.faint::before{background:var(--faint)}.key.held-out::before{background:var(--held-out)"
    "}";

}  // namespace

std::string curve_key_html(std::string_view kind, std::string_view name) {
  return std::string("<small class=\"key ").append(kind).append("\">").append(name).append("</small>");
}

Status write_plot_page(const std::filesystem::path& out_html, std::string_view title, std::string_view body,
                       std::string_view style) {
  const std::string name = html_text(title);
  std::string page = "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"/>\n<title>" + name +
                     "</title>\n<meta name=\"viewport\" content=\"width=device-width\"/>\n"
                     "<meta name=\"color-scheme\" content=\"light dark\"/>\n<style>" +
                     kCurvePlotStyle + kPageStyle;
  page.append(style).append("</style></head><body>\n<h1>" + name + "</h1>\n").append(body).append("</body></html>\n");
  return write_file_atomically(out_html, std::as_bytes(std::span(page)));
}

}  // namespace phial::train
