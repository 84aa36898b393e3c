#include "phial/documents/readers/docx_styles.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "phial/base/utf8.h"
#include "phial/documents/readers/xml.h"

namespace phial::documents {
namespace {

int number_of(std::string_view text, int otherwise) {
  int value = otherwise;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  return parsed.ec == std::errc() ? value : otherwise;
}

bool is_set(const pugi::xml_node& property) {
  const std::string_view value = attribute_named(property, "val");
  return property && value != "0" && value != "false" && value != "off";
}

std::string letters(int number, char first) {
  constexpr int kLetters = 26;  // then "aa", "bb"
  return std::string(static_cast<size_t>((number - 1) / kLetters + 1),
                     static_cast<char>(first + (number - 1) % kLetters));
}

std::string roman(int number) {
  static constexpr std::array<std::pair<int, const char*>, 13> kParts = {{{1000, "m"},
                                                                          {900, "cm"},
                                                                          {500, "d"},
                                                                          {400, "cd"},
                                                                          {100, "c"},
                                                                          {90, "xc"},
                                                                          {50, "l"},
                                                                          {40, "xl"},
                                                                          {10, "x"},
                                                                          {9, "ix"},
                                                                          {5, "v"},
                                                                          {4, "iv"},
                                                                          {1, "i"}}};
  std::string text;
  for (const auto& [value, name] : kParts) {
    for (; number >= value; number -= value) text += name;
  }
  return text;
}

std::string upper(std::string text) {
  for (char& c : text) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  return text;
}

std::string counted(int number, std::string_view format) {
  constexpr int kMostRoman = 3999;
  number = std::max(number, 1);
  if (format == "none") return {};
  if (format == "lowerLetter" || format == "upperLetter") {
    constexpr int kMostLetters = 26 * 20;
    return letters(std::min(number, kMostLetters), format == "lowerLetter" ? 'a' : 'A');
  }
  if (format == "lowerRoman") return roman(std::min(number, kMostRoman));
  if (format == "upperRoman") return upper(roman(std::min(number, kMostRoman)));
  return std::to_string(number);
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
    style.name = ascii_lower(value_of(node, "name"));
    style.based_on = value_of(node, "basedOn");
    const pugi::xml_node properties = child_named(node, "pPr");
    style.outline_level = number_of(value_of(properties, "outlineLvl"), -1);
    style.numbering = value_of(child_named(properties, "numPr"), "numId");
    style.numbering_depth = number_of(value_of(child_named(properties, "numPr"), "ilvl"), 0);
    style.hidden = is_set(child_named(child_named(node, "rPr"), "vanish"));
    styles_[std::string(attribute_named(node, "styleId"))] = std::move(style);
  }
}

DocxStyles::Level DocxStyles::read_level(const pugi::xml_node& node) {
  return {std::string(value_of(node, "numFmt")), std::string(value_of(node, "lvlText")),
          number_of(value_of(node, "start"), 1)};
}

void DocxStyles::read_numbering(const pugi::xml_node& root) {
  std::map<std::string, std::map<int, Level>, std::less<>> kinds;
  for (const pugi::xml_node& node : root.children()) {
    if (local_name(node) != "abstractNum") continue;
    auto& levels = kinds[std::string(attribute_named(node, "abstractNumId"))];
    for (const pugi::xml_node& level : node.children()) {
      if (local_name(level) == "lvl") levels[number_of(attribute_named(level, "ilvl"), 0)] = read_level(level);
    }
  }
  for (const pugi::xml_node& node : root.children()) {
    if (local_name(node) != "num") continue;
    const auto kind = kinds.find(value_of(node, "abstractNumId"));
    if (kind == kinds.end()) continue;
    const std::string id(attribute_named(node, "numId"));
    List list{"kind " + kind->first, kind->second};
    for (const pugi::xml_node& change : node.children()) {
      if (local_name(change) != "lvlOverride") continue;
      list.counter = id;
      Level& level = list.levels[number_of(attribute_named(change, "ilvl"), 0)];
      if (const pugi::xml_node own = child_named(change, "lvl")) level = read_level(own);
      level.start = number_of(value_of(change, "startOverride"), level.start);
    }
    lists_[id] = std::move(list);
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
    result.hidden = result.hidden || style.hidden;
    if (result.numbering.empty()) {
      result.numbering = style.numbering;
      result.numbering_depth = style.numbering_depth;
    }
    found = styles_.find(style.based_on);
  }
  if (result.title && result.heading_level == 0) result.heading_level = 1;
  result.heading_level = std::clamp(result.heading_level, 0, 6);
  return result;
}

std::string DocxStyles::next_marker(std::string_view numbering, int depth) {
  const auto list = lists_.find(numbering);
  if (list == lists_.end() || !list->second.levels.contains(depth)) return "- ";
  const auto& levels = list->second.levels;
  const Level& level = levels.at(depth);
  if (level.format == "bullet" || level.format == "none" || level.format.empty()) return "- ";
  auto& last = last_[list->second.counter];
  last.erase(last.upper_bound(depth), last.end());  // deeper lists begin again
  const auto [now, fresh] = last.try_emplace(depth, level.start);
  if (!fresh && now->second < 1'000'000) ++now->second;
  const auto number_at = [&](int other) {
    const auto at = levels.find(other);
    if (at == levels.end()) return std::string();
    const auto given = last.find(other);
    return counted(given == last.end() ? at->second.start : given->second, at->second.format);
  };
  std::string marker;
  const std::string text = level.text.empty() ? "%" + std::to_string(depth + 1) + "." : level.text;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool is_place = text[i] == '%' && i + 1 < text.size() && text[i + 1] >= '1' && text[i + 1] <= '9';
    if (is_place) {
      marker += number_at(text[++i] - '1');
    } else {
      marker.push_back(text[i]);
    }
  }
  return marker + " ";
}

}  // namespace phial::documents
