#include "phial/documents/readers/html_style.h"

#include <algorithm>
#include <cstdlib>

#include "phial/documents/readers/html.h"

namespace phial::documents {
namespace {

constexpr size_t kMaxRules = 1000;
constexpr size_t kMaxSheetBytes = 1 << 20;

std::string squeezed(std::string_view text) {
  std::string result;
  for (const char c : text) {
    if (!is_html_space(c)) result.push_back(c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c);
  }
  return result;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && is_html_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_html_space(text.back())) text.remove_suffix(1);
  return text;
}

// White in whatever spelling: a colour whose parts are all close to their most.
bool is_white(std::string_view color) {
  if (color == "white" || color == "snow" || color == "ivory") return true;
  if (color.starts_with('#')) {
    const std::string_view digits = color.substr(1, color.size() == 9 ? 6 : color.size() - 1);
    const bool is_short = digits.size() == 3;
    for (size_t i = 0; i < digits.size(); ++i) {
      if ((is_short || i % 2 == 0) && digits[i] != 'f') return false;
    }
    return is_short || digits.size() == 6;
  }
  return color.starts_with("rgb(255,255,255") || color.starts_with("rgba(255,255,255");
}

bool is_transparent(std::string_view color) {
  const bool has_alpha = color.starts_with("rgba(") || color.starts_with("hsla(");
  return color == "transparent" || (has_alpha && (color.ends_with(",0)") || color.ends_with(",0.0)")));
}

// One declaration, without white space, in lower case; of properties that do not take turns with others.
bool hides(std::string_view property, const std::string& value) {
  const double number = std::strtod(value.c_str(), nullptr);
  const bool numeric = !value.empty() && (value[0] == '.' || value[0] == '-' || (value[0] >= '0' && value[0] <= '9'));
  if (property == "opacity") return numeric && number < 0.05;
  if (property == "filter") return value.starts_with("opacity(0)") || value.starts_with("opacity(0%)");
  if (property == "font-size") {
    const bool relative = value.ends_with("em") || value.ends_with("%");
    return numeric && (relative ? number < (value.ends_with("%") ? 10 : 0.1) : number < 2);
  }
  if (property == "font") return value.starts_with("0/") || value.starts_with("0px");
  if (property == "color" || property == "-webkit-text-fill-color") return is_transparent(value);
  if (property == "text-indent" || property == "left" || property == "top" || property == "margin-left" ||
      property == "margin-top") {
    return numeric && number <= -900;
  }
  if (property == "transform") return value.starts_with("scale(0)") || value.starts_with("translatex(-9999");
  if (property == "clip") return value.starts_with("rect(0") && value.find_first_of("23456789") == std::string::npos;
  if (property == "clip-path") {
    return value.starts_with("inset(50%") || value.starts_with("inset(100%") || value.starts_with("circle(0");
  }
  return property == "content-visibility" && value == "hidden";
}

std::string without_comments(std::string_view css) {
  std::string plain;
  for (size_t at = 0; at < css.size();) {
    const size_t comment = std::min(css.find("/*", at), css.size());
    plain.append(css.substr(at, comment - at));
    const size_t end = css.find("*/", std::min(comment + 2, css.size()));
    at = end == std::string_view::npos ? css.size() : end + 2;
  }
  return plain;
}

// Whether what stands after "@media" lets its rules count whatever the window's size.
bool is_for_screen(std::string_view query) {
  const std::string plain = squeezed(query);
  for (size_t at = 0; at <= plain.size();) {
    const size_t end = std::min(plain.find(',', at), plain.size());
    const std::string_view one = std::string_view(plain).substr(at, end - at);
    if (one == "screen" || one == "all" || one == "onlyscreen") return true;
    at = end + 1;
  }
  return false;
}

// Where the block opened by the '{' at `open` ends: past its '}'.
size_t past_block(std::string_view css, size_t open) {
  int depth = 1;
  size_t at = open + 1;
  for (; at < css.size() && depth > 0; ++at) depth += css[at] == '{' ? 1 : css[at] == '}' ? -1 : 0;
  return at;
}

}  // namespace

Hiding read_declarations(std::string_view declarations) {
  const std::string all = squeezed(without_comments(declarations));
  Hiding hiding;
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
    if (property == "display") hiding.display = value == "none";
    if (property == "visibility") hiding.visibility = value == "hidden" || value == "collapse";
    hiding.otherwise = hiding.otherwise || hides(property, value);
    if (property == "color") color = value;
    if (property == "background" || property == "background-color") background = value;
    const bool is_extent =
        property == "height" || property == "max-height" || property == "width" || property == "max-width";
    flat = flat || (is_extent && (value == "0" || value == "0px" || value == "1px"));
    clipped = clipped || (property == "overflow" && value == "hidden");
  }
  const bool same_color = !color.empty() && (color == background || (is_white(color) && is_white(background)));
  hiding.otherwise = hiding.otherwise || same_color || (flat && clipped);
  return hiding;
}

void HidingRules::add_sheet(std::string_view css) { add_rules(without_comments(css.substr(0, kMaxSheetBytes)), 0); }

void HidingRules::add_rules(std::string_view plain, int depth) {
  constexpr int kDeepest = 4;  // of @media within each other
  for (size_t at = 0; at < plain.size();) {
    const size_t open = plain.find('{', at);
    if (open == std::string_view::npos) return;
    const size_t close = past_block(plain, open);
    const std::string_view selectors = trimmed(plain.substr(at, open - at));
    const bool closed = plain[close - 1] == '}' && close > open + 1;
    const std::string_view body = plain.substr(open + 1, close - open - (closed ? 2 : 1));
    at = close;
    const size_t statement = selectors.rfind(';');  // "@import ...;" may stand before the selector
    const std::string_view list =
        trimmed(statement == std::string_view::npos ? selectors : selectors.substr(statement + 1));
    if (list.starts_with("@")) {
      constexpr std::string_view kMedia = "@media";
      const bool counts = list.starts_with(kMedia) && is_for_screen(list.substr(kMedia.size()));
      if (counts && depth < kDeepest) add_rules(body, depth + 1);
      continue;
    }
    const Hiding hiding = read_declarations(body);
    if (!hiding.display && !hiding.visibility && !hiding.otherwise) continue;
    for (size_t from = 0; from < list.size();) {
      const size_t comma = std::min(list.find(',', from), list.size());
      Rule rule{.selector = {}, .specificity = 0, .hiding = hiding};
      if (rules_.size() < kMaxRules && parse(trimmed(list.substr(from, comma - from)), &rule)) {
        rules_.push_back(std::move(rule));
      }
      from = comma + 1;
    }
  }
}

bool HidingRules::parse(std::string_view text, Rule* rule) {
  bool directly = false;
  for (size_t at = 0; at < text.size();) {
    if (is_html_space(text[at]) || text[at] == '>') {
      directly = directly || text[at] == '>';
      ++at;
      continue;
    }
    Compound compound{.tag = {}, .id = {}, .classes = {}, .directly = directly};
    directly = false;
    while (at < text.size() && !is_html_space(text[at]) && text[at] != '>') {
      const char kind = text[at] == '.' || text[at] == '#' ? text[at++] : ' ';
      const size_t end = std::min(text.find_first_of(".# \t\n\r\f>", at), text.size());
      const std::string_view name = text.substr(at, end - at);
      if (name.empty() || name.find_first_of("+~:[*()\\") != std::string_view::npos) return false;
      if (kind == '.') {
        compound.classes.emplace_back(name);
        rule->specificity += 100;
      } else if (kind == '#') {
        compound.id = name;
        rule->specificity += 10'000;
      } else {
        compound.tag = squeezed(name);
        rule->specificity += 1;
      }
      at = end;
    }
    rule->selector.push_back(std::move(compound));
  }
  return !rule->selector.empty();
}

bool HidingRules::fits(const Compound& compound, const Element& element) {
  const auto has_class = [&](const std::string& wanted) {
    for (size_t at = 0; (at = element.classes.find(wanted, at)) != std::string_view::npos; at += wanted.size()) {
      const size_t end = at + wanted.size();
      const bool starts = at == 0 || is_html_space(element.classes[at - 1]);
      if (starts && (end == element.classes.size() || is_html_space(element.classes[end]))) return true;
    }
    return false;
  };
  return (compound.tag.empty() || compound.tag == element.tag) && (compound.id.empty() || compound.id == element.id) &&
         std::all_of(compound.classes.begin(), compound.classes.end(), has_class);
}

// The nearest fitting ancestor is taken for each part, without going back: enough for what pages say.
bool HidingRules::fits(const Rule& rule, const Ancestors& ancestor) {
  size_t up = 0;
  for (size_t part = rule.selector.size(); part-- > 0; ++up) {
    const bool here = part + 1 == rule.selector.size() || rule.selector[part + 1].directly;
    for (;; ++up) {
      const auto element = ancestor(up);
      if (!element) return false;
      if (fits(rule.selector[part], *element)) break;
      if (here) return false;
    }
  }
  return true;
}

bool HidingRules::hides(const Ancestors& ancestor, std::string_view inline_style) const {
  Hiding sum;
  int display = 0, visibility = 0;  // the specificity of what counts so far
  for (const Rule& rule : rules_) {
    if (!fits(rule, ancestor)) continue;
    if (rule.hiding.display && rule.specificity >= display) {
      sum.display = rule.hiding.display;
      display = rule.specificity;
    }
    if (rule.hiding.visibility && rule.specificity >= visibility) {
      sum.visibility = rule.hiding.visibility;
      visibility = rule.specificity;
    }
    sum.otherwise = sum.otherwise || rule.hiding.otherwise;
  }
  const Hiding own = read_declarations(inline_style);
  return own.display.value_or(sum.display.value_or(false)) || own.visibility.value_or(sum.visibility.value_or(false)) ||
         own.otherwise || sum.otherwise;
}

}  // namespace phial::documents
