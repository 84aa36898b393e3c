// A pass over the tags before the parser sees them. HTML parsers walk their stack of open elements for most tags, and
// the list of attributes for each attribute, so depth and attribute counts multiply into minutes; pages made by people
// stay far below the bounds here.
#include <algorithm>
#include <array>
#include <string>
#include <unordered_map>

#include "phial/documents/readers/html.h"

namespace phial::documents {
namespace {

using namespace std::string_view_literals;

constexpr int kMaxDepth = 400;
constexpr size_t kMaxAttributes = 500;

constexpr std::array kVoid = {"area"sv,  "base"sv, "br"sv,   "col"sv,   "embed"sv,  "hr"sv,    "img"sv,
                              "input"sv, "link"sv, "meta"sv, "param"sv, "source"sv, "track"sv, "wbr"sv};
// Left open by habit; they close each other, so that alone they do not nest.
constexpr std::array kSelfClosing = {"p"sv,        "li"sv,       "dt"sv,    "dd"sv,     "tr"sv,   "td"sv,   "th"sv,
                                     "option"sv,   "thead"sv,    "tbody"sv, "tfoot"sv,  "html"sv, "head"sv, "body"sv,
                                     "colgroup"sv, "optgroup"sv, "a"sv,     "button"sv, "nobr"sv, "h1"sv,   "h2"sv,
                                     "h3"sv,       "h4"sv,       "h5"sv,    "h6"sv};
// What stands between these tags is no markup. Scripts are never shown, so they go at once.
constexpr std::array kRawText = {"style"sv, "textarea"sv, "title"sv, "xmp"sv};

template <size_t N>
bool among(std::string_view name, const std::array<std::string_view, N>& names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

struct Tag {
  size_t end = 0;  // past the '>'
  std::string name;
  bool closing = false;
  bool empty = false;  // ends in "/>"
  size_t attributes = 0;
};

bool is_name(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == ':';
}

// Reads the tag at html[at] == '<'; end stays 0 if none starts here.
Tag read_tag(std::string_view html, size_t at) {
  Tag tag;
  size_t i = at + 1;
  if (i < html.size() && html[i] == '/') {
    tag.closing = true;
    ++i;
  }
  if (i >= html.size() || !((html[i] >= 'a' && html[i] <= 'z') || (html[i] >= 'A' && html[i] <= 'Z'))) return tag;
  while (i < html.size() && is_name(html[i])) {
    tag.name.push_back(html[i] >= 'A' && html[i] <= 'Z' ? static_cast<char>(html[i] - 'A' + 'a') : html[i]);
    ++i;
  }
  char quote = 0;
  for (; i < html.size(); ++i) {
    const char c = html[i];
    if (quote != 0) {
      if (c == quote) quote = 0;
    } else if ((c == '"' || c == '\'') && html[i - 1] == '=') {
      quote = c;
    } else if (c == '>') {
      tag.empty = html[i - 1] == '/';
      tag.end = i + 1;
      return tag;
    } else if (is_html_space(c) || c == '/') {
      tag.attributes += is_html_space(html[i - 1]) ? 0 : 1;
    }
  }
  return tag;  // never closed: the parser drops it
}

// Comments and declarations may hold anything that looks like a tag.
size_t past_comment(std::string_view html, size_t at) {
  if (!html.substr(at).starts_with("<!--")) return at;
  const size_t end = html.find("-->", at + 2), other = html.find("--!>", at + 2);
  if (other < end) return other + 4;
  return end == std::string_view::npos ? html.size() : end + 3;
}

// Where `</name` starts at or after `at`, whatever its case; the text's end if it does not.
size_t find_end_tag(std::string_view html, std::string_view name, size_t at) {
  for (; (at = html.find("</", at)) != std::string_view::npos; at += 2) {
    const std::string_view found = html.substr(at + 2, name.size());
    const bool same = std::equal(found.begin(), found.end(), name.begin(), name.end(), [](char a, char b) {
      return (a >= 'A' && a <= 'Z' ? static_cast<char>(a - 'A' + 'a') : a) == b;
    });
    if (same) return at;
  }
  return html.size();
}

class Depth {
 public:
  // False if this start tag would nest too deep.
  bool open(const Tag& tag) {
    if (depth_ >= kMaxDepth) return false;
    ++open_[tag.name];
    ++depth_;
    return true;
  }
  void close(const Tag& tag) {
    const auto it = open_.find(tag.name);
    if (it == open_.end() || it->second == 0) return;
    --it->second;
    --depth_;
  }

 private:
  std::unordered_map<std::string, int> open_;
  int depth_ = 0;
};

}  // namespace

std::string bounded_html(std::string_view html, bool xhtml) {
  std::string bounded;
  bounded.reserve(html.size());
  Depth depth;
  for (size_t at = 0; at < html.size();) {
    const size_t open = std::min(html.find('<', at), html.size());
    bounded.append(html.substr(at, open - at));
    if (open == html.size()) break;
    if (const size_t after = past_comment(html, open); after > open) {
      at = after;  // comments are never shown
      continue;
    }
    const Tag tag = read_tag(html, open);
    if (tag.end == 0) {
      bounded.push_back('<');
      at = open + 1;
      continue;
    }
    at = tag.end;
    const bool closes_itself = xhtml && tag.empty && !among(tag.name, kVoid);
    if (tag.name == "script" && !tag.closing) {
      if (!closes_itself) at = find_end_tag(html, tag.name, at);
      continue;
    }
    if (tag.attributes > kMaxAttributes) continue;
    const bool nests = !among(tag.name, kVoid) && !among(tag.name, kSelfClosing);
    if (nests && tag.closing) depth.close(tag);
    if (nests && !tag.closing && !closes_itself && !depth.open(tag)) continue;
    if (closes_itself) {
      bounded.append(html.substr(open, tag.end - open - 2)).append("></").append(tag.name).append(">");
    } else {
      bounded.append(html.substr(open, tag.end - open));
      if (tag.closing || !among(tag.name, kRawText)) continue;
      at = find_end_tag(html, tag.name, tag.end);
      bounded.append(html.substr(tag.end, at - tag.end));
    }
  }
  return bounded;
}

}  // namespace phial::documents
