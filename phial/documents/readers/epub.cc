// EPUB: a zip archive whose package file lists XHTML pages in reading order.
#include <map>
#include <utility>
#include <vector>

#include "phial/documents/archive.h"
#include "phial/documents/charset.h"
#include "phial/documents/readers/html.h"
#include "phial/documents/readers/readers.h"
#include "phial/documents/readers/xml.h"

namespace phial::documents {
namespace {

struct Page {
  std::string member;
  bool is_contents = false;  // the book's own table of contents, which only repeats its headings
};

struct Package {
  std::string title;
  std::vector<Page> pages;
};

Result<std::string> package_path(Archive& archive) {
  if (!archive.has("META-INF/container.xml")) {
    for (const std::string& name : archive.names()) {
      if (name.ends_with(".opf")) return name;
    }
  }
  PHIAL_TRY(const std::string container, archive.read("META-INF/container.xml"));
  PHIAL_TRY(const pugi::xml_document xml, parse_xml(container, "META-INF/container.xml"));
  const auto rootfiles = child_named(child_named(xml, "container"), "rootfiles");
  const std::string path = resolve_reference("", attribute_named(child_named(rootfiles, "rootfile"), "full-path"));
  if (path.empty()) return Error{Code::kCorrupt, "the book names no package file", "get it again"};
  return path;
}

Result<Package> read_package(Archive& archive) {
  PHIAL_TRY(const std::string path, package_path(archive));
  PHIAL_TRY(const std::string content, archive.read(path));
  PHIAL_TRY(const pugi::xml_document xml, parse_xml(content, path));
  const pugi::xml_node root = child_named(xml, "package");
  Package package;
  package.title = child_named(child_named(root, "metadata"), "title").text().get();
  std::map<std::string, Page, std::less<>> manifest;
  std::vector<Page> all;
  for (const pugi::xml_node& item : child_named(root, "manifest").children()) {
    const std::string_view type = attribute_named(item, "media-type");
    if (type.find("html") == std::string_view::npos && type != "text/x-oeb1-document") continue;
    const bool contents = attribute_named(item, "properties").find("nav") != std::string_view::npos;
    all.push_back({resolve_reference(path, attribute_named(item, "href")), contents});
    manifest[std::string(attribute_named(item, "id"))] = all.back();
  }
  for (const pugi::xml_node& reference : child_named(root, "spine").children()) {
    const auto found = manifest.find(attribute_named(reference, "idref"));
    if (found == manifest.end()) continue;
    package.pages.push_back(found->second);
    manifest.erase(found);  // a page that is named twice is read once
  }
  if (package.pages.empty()) package.pages = std::move(all);  // no order is told: that of the list, then
  if (package.pages.empty()) return Error{Code::kCorrupt, "the book lists no pages", "get it again"};
  return package;
}

// Fonts may be scrambled in a book that is free to read; its pages may not.
bool is_locked(Archive& archive) {
  if (!archive.has("META-INF/encryption.xml")) return false;
  const auto content = archive.read("META-INF/encryption.xml");
  return content && content->find("html") != std::string::npos;
}

}  // namespace

Status read_epub(ReaderJob& job) {
  PHIAL_TRY(Archive archive, Archive::open(job.source.bytes));
  if (is_locked(archive)) {
    return Error{Code::kUnsupported, "the book is protected against copying (DRM)", "only unprotected books are read"};
  }
  PHIAL_TRY(const Package package, read_package(archive));
  job.builder.set_title(package.title);
  size_t missing = 0;
  Status last_problem = ok();
  for (const Page& page : package.pages) {
    if (page.is_contents || job.builder.full()) continue;
    auto content = archive.read(page.member);
    if (!content && content.error().code == Code::kOutOfRange) return std::move(content).error();
    auto text = content ? to_utf8(*content, declared_charset(*content)) : Result<DecodedText>(content.error());
    if (!text) {
      ++missing;
      last_problem = text.error();
      continue;
    }
    PHIAL_CHECKED(append_html(text->text, {.xhtml = true, .use_title = false}, job.builder));
  }
  if (missing == package.pages.size()) return last_problem;
  if (missing > 0) job.builder.warn(std::to_string(missing) + " pages of the book are missing or damaged");
  return ok();
}

}  // namespace phial::documents
