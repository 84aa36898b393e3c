#include "phial/documents/readers/docx_styles.h"

#include <algorithm>
#include <charconv>

#include "phial/documents/readers/xml.h"

namespace phial::documents {
namespace {

int number_of(std::string_view text, int otherwise) {
  int value = otherwise;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  return parsed.ec == std::errc() ? value : otherwise;
}

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return result;
}

std::string_view value_of(const pugi::xml_node& parent, std::string_view child) {
  return attribute_named(child_named(parent, child), "val");
}

}  // namespace

DocxStyles::DocxStyles(Archive& archive, const std::string& folder) {
  if (const auto part = archive.read(folder + "styles.xml")) {
    if (const auto xml = parse_xml(*part, "styles.xml")) read_styles(child_named(*xml, "styles"));
  }
  if (const auto part = archive.read(folder + "numbering.xml")) {
    if (const auto xml = parse_xml(*part, "numbering.xml")) read_numbering(child_named(*xml, "numbering"));
  }
}

void DocxStyles::read_styles(const pugi::xml_node& root) {
  for (const pugi::xml_node& node : root.children()) {
    if (local_name(node) != "style") continue;
    Style style;
    style.name = lower(value_of(node, "name"));
    style.based_on = value_of(node, "basedOn");
    const pugi::xml_node properties = child_named(node, "pPr");
    style.outline_level = number_of(value_of(properties, "outlineLvl"), -1);
    style.numbering = value_of(child_named(properties, "numPr"), "numId");
    styles_[std::string(attribute_named(node, "styleId"))] = std::move(style);
  }
}

void DocxStyles::read_numbering(const pugi::xml_node& root) {
  std::map<std::string, std::map<int, bool>, std::less<>> kinds;
  for (const pugi::xml_node& node : root.children()) {
    if (local_name(node) != "abstractNum") continue;
    auto& levels = kinds[std::string(attribute_named(node, "abstractNumId"))];
    for (const pugi::xml_node& level : node.children()) {
      if (local_name(level) != "lvl") continue;
      const std::string_view format = value_of(level, "numFmt");
      levels[number_of(attribute_named(level, "ilvl"), 0)] = format != "bullet" && format != "none" && !format.empty();
    }
  }
  for (const pugi::xml_node& node : root.children()) {
    if (local_name(node) != "num") continue;
    const auto kind = kinds.find(value_of(node, "abstractNumId"));
    if (kind != kinds.end()) counts_[std::string(attribute_named(node, "numId"))] = kind->second;
  }
}

ParagraphStyle DocxStyles::style(std::string_view id) const {
  ParagraphStyle result;
  constexpr int kLongestChain = 12;  // of styles based on each other, which a hostile file may close to a ring
  auto found = styles_.find(id);
  for (int i = 0; i < kLongestChain && found != styles_.end(); ++i) {
    const Style& style = found->second;
    const bool named = style.name.starts_with("heading ") && style.name.size() == 9;
    if (result.heading_level == 0 && named) result.heading_level = number_of(style.name.substr(8), 0);
    if (result.heading_level == 0 && style.outline_level >= 0 && style.outline_level < 9) {
      result.heading_level = style.outline_level + 1;
    }
    result.title = result.title || style.name == "title";
    result.code = result.code || style.name.find("source code") != std::string::npos ||
                  style.name == "html preformatted" || style.name == "code" || style.name == "preformatted text";
    if (result.numbering.empty()) result.numbering = style.numbering;
    found = styles_.find(style.based_on);
  }
  if (result.title && result.heading_level == 0) result.heading_level = 1;
  result.heading_level = std::clamp(result.heading_level, 0, 6);
  return result;
}

std::string DocxStyles::next_marker(std::string_view numbering, int depth) {
  const auto list = counts_.find(numbering);
  const bool numbered = list != counts_.end() && list->second.contains(depth) && list->second.at(depth);
  if (!numbered) return "- ";
  auto& last = last_[std::string(numbering)];
  last.erase(last.upper_bound(depth), last.end());  // deeper lists begin again
  return std::to_string(++last[depth]) + ". ";
}

}  // namespace phial::documents
