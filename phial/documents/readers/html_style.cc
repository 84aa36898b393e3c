#include "phial/documents/readers/html_style.h"

#include <algorithm>
#include <cstdlib>

namespace phial::documents {
namespace {

constexpr size_t kMaxRules = 1000;
constexpr size_t kMaxSheetBytes = 1 << 20;

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f'; }

std::string squeezed(std::string_view text) {
  std::string result;
  for (const char c : text) {
    if (!is_space(c)) result.push_back(c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c);
  }
  return result;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

bool is_white(std::string_view color) {
  return color == "white" || color == "#fff" || color == "#ffffff" || color == "rgb(255,255,255)";
}

// One declaration, without white space, in lower case.
bool hides(std::string_view property, const std::string& value) {
  const double number = std::strtod(value.c_str(), nullptr);
  const bool numeric = !value.empty() && (value[0] == '.' || value[0] == '-' || (value[0] >= '0' && value[0] <= '9'));
  if (property == "display") return value == "none";
  if (property == "visibility") return value == "hidden" || value == "collapse";
  if (property == "opacity") return numeric && number < 0.05;
  if (property == "font-size") {
    const bool relative = value.ends_with("em") || value.ends_with("%");
    return numeric && (relative ? number < (value.ends_with("%") ? 10 : 0.1) : number < 2);
  }
  if (property == "color") return value == "transparent";
  if (property == "text-indent" || property == "left" || property == "top") return numeric && number <= -900;
  if (property == "clip") return value.starts_with("rect(0") && value.find_first_of("123456789") == std::string::npos;
  return false;
}

}  // namespace

bool declares_hidden(std::string_view declarations) {
  const std::string all = squeezed(declarations);
  std::string color, background;
  bool flat = false, clipped = false;
  for (size_t at = 0; at < all.size();) {
    const size_t end = std::min(all.find(';', at), all.size());
    const std::string one = all.substr(at, end - at);
    at = end + 1;
    const size_t colon = one.find(':');
    if (colon == std::string::npos) continue;
    const std::string property = one.substr(0, colon);
    std::string value = one.substr(colon + 1);
    if (const size_t important = value.find('!'); important != std::string::npos) value.resize(important);
    if (hides(property, value)) return true;
    if (property == "color") color = value;
    if (property == "background" || property == "background-color") background = value;
    flat =
        flat || ((property == "height" || property == "max-height" || property == "width" || property == "max-width") &&
                 (value == "0" || value == "0px"));
    clipped = clipped || (property == "overflow" && value == "hidden");
  }
  const bool same_color = !color.empty() && (color == background || (is_white(color) && is_white(background)));
  return same_color || (flat && clipped);
}

void HidingRules::add_sheet(std::string_view css) {
  css = css.substr(0, kMaxSheetBytes);
  std::string plain;
  for (size_t at = 0; at < css.size();) {
    const size_t comment = std::min(css.find("/*", at), css.size());
    plain.append(css.substr(at, comment - at));
    const size_t end = css.find("*/", std::min(comment + 2, css.size()));
    at = end == std::string_view::npos ? css.size() : end + 2;
  }
  for (size_t at = 0; at < plain.size();) {
    const size_t open = plain.find('{', at);
    if (open == std::string::npos) return;
    int depth = 1;
    size_t close = open + 1;
    for (; close < plain.size() && depth > 0; ++close) depth += plain[close] == '{' ? 1 : plain[close] == '}' ? -1 : 0;
    const std::string_view selectors = trimmed(std::string_view(plain).substr(at, open - at));
    const std::string_view body = std::string_view(plain).substr(open + 1, close - open - (depth == 0 ? 2 : 1));
    at = close;
    const size_t statement = selectors.rfind(';');  // "@import ...;" may stand before the selector
    const std::string_view list =
        trimmed(statement == std::string_view::npos ? selectors : selectors.substr(statement + 1));
    if (list.starts_with("@")) continue;
    const bool hidden = declares_hidden(body);
    for (size_t from = 0; from < list.size();) {
      const size_t comma = std::min(list.find(',', from), list.size());
      Selector selector;
      if (parse(trimmed(list.substr(from, comma - from)), &selector)) {
        std::erase(hidden_, selector);  // the later rule counts
        if (hidden && hidden_.size() < kMaxRules) hidden_.push_back(selector);
      }
      from = comma + 1;
    }
  }
}

bool HidingRules::parse(std::string_view text, Selector* selector) {
  for (size_t at = 0; at < text.size();) {
    const char kind = text[at] == '.' || text[at] == '#' ? text[at++] : ' ';
    const size_t end = std::min(text.find_first_of(".#", at), text.size());
    const std::string_view name = text.substr(at, end - at);
    if (name.empty() || name.find_first_of(" \t\n\r>+~:[*()\\") != std::string_view::npos) return false;
    if (kind == '.') {
      selector->classes.emplace_back(name);
    } else if (kind == '#') {
      selector->id = name;
    } else {
      selector->tag = squeezed(name);
    }
    at = end;
  }
  return !(selector->tag.empty() && selector->id.empty() && selector->classes.empty());
}

bool HidingRules::hides(std::string_view tag, std::string_view id, std::string_view classes) const {
  const auto has_class = [&](const std::string& wanted) {
    for (size_t at = 0; (at = classes.find(wanted, at)) != std::string_view::npos; at += wanted.size()) {
      const size_t end = at + wanted.size();
      const bool starts = at == 0 || is_space(classes[at - 1]);
      if (starts && (end == classes.size() || is_space(classes[end]))) return true;
    }
    return false;
  };
  return std::any_of(hidden_.begin(), hidden_.end(), [&](const Selector& rule) {
    return (rule.tag.empty() || rule.tag == tag) && (rule.id.empty() || rule.id == id) &&
           std::all_of(rule.classes.begin(), rule.classes.end(), has_class);
  });
}

}  // namespace phial::documents
