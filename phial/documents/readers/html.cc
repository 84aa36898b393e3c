// HTML: Gumbo's tree, walked once. Inline text gathers until an element that starts a new block flushes it.
#include "phial/documents/readers/html.h"

#include <gumbo.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "phial/base/utf8.h"
#include "phial/documents/charset.h"
#include "phial/documents/readers/html_style.h"
#include "phial/documents/readers/html_table.h"
#include "phial/documents/readers/readers.h"

namespace phial::documents {
namespace {

// Gumbo frees its tree recursively; taking it from one list of blocks instead frees any depth, and bounds it.
class Arena {
 public:
  static void* take(void* self, size_t bytes) {
    auto& blocks = static_cast<Arena*>(self)->blocks_;
    blocks.push_back(std::make_unique<char[]>(bytes));
    return blocks.back().get();
  }
  static void give_back(void*, void*) {}

 private:
  std::vector<std::unique_ptr<char[]>> blocks_;
};

std::string_view attribute_of(const GumboElement& element, const char* name) {
  const GumboAttribute* found = gumbo_get_attribute(&element.attributes, name);
  return found == nullptr ? std::string_view() : std::string_view(found->value);
}

// Also of elements that Gumbo does not know, as they are written.
std::string_view tag_name(const GumboElement& element) {
  if (element.tag != GUMBO_TAG_UNKNOWN) return gumbo_normalized_tagname(element.tag);
  GumboStringPiece name = element.original_tag;
  gumbo_tag_from_original_text(&name);
  return {name.data, name.length};
}

// The arrow behind a footnote that leads back.
bool leads_back(const GumboElement& element) {
  return attribute_of(element, "role") == "doc-backlink" || attribute_of(element, "class").starts_with("footnote-back");
}

// What a page shows for its reader's hand, not as its text: buttons, and the sign behind a heading that links to it.
bool is_handle(const GumboNode& at) {
  const GumboElement& element = at.v.element;
  if (element.tag == GUMBO_TAG_BUTTON) return true;
  if (element.tag != GUMBO_TAG_A || !attribute_of(element, "href").starts_with("#")) return false;
  constexpr auto kSigns = std::to_array<std::string_view>({"#", "\u00B6", "\u00A7", "\U0001F517"});
  return std::find(kSigns.begin(), kSigns.end(), plain_text(at)) != kSigns.end();
}

class Walker {
 public:
  Walker(const HtmlOptions& options, DocumentBuilder& builder) : options_(options), builder_(builder) {}

  // `root`: the element <html>.
  void walk(const GumboNode& root) {
    gather_rules(root, 0);
    children_of(root, 0);
    flush();
    if (hidden_bytes_ > 0) {
      builder_.leave_out("text that the page hides was left out (" + std::to_string(hidden_bytes_) + " bytes)");
    }
  }

 private:
  void gather_rules(const GumboNode& at, int depth) {
    if (!is_element(at) || depth > kMaxTreeDepth) return;
    const GumboVector& children = at.v.element.children;
    for (unsigned i = 0; i < children.length; ++i) {
      const auto& child = *static_cast<const GumboNode*>(children.data[i]);
      if (at.v.element.tag == GUMBO_TAG_STYLE && is_text(child)) rules_.add_sheet(child.v.text.text);
      gather_rules(child, depth + 1);
    }
  }

  void children_of(const GumboNode& at, int depth) {
    const GumboVector& children = at.v.element.children;
    for (unsigned i = 0; i < children.length && !builder_.full(); ++i) {
      node(*static_cast<const GumboNode*>(children.data[i]), depth + 1);
    }
  }

  void node(const GumboNode& at, int depth) {
    if (depth > kMaxTreeDepth) return;
    if (is_text(at)) {
      add_text(at.v.text.text);
    } else if (is_element(at)) {
      element(at, depth);
    }
  }

  void add_text(const char* text) {
    if (pre_ > 0) {
      inline_ += text;
      return;
    }
    for (; *text != '\0'; ++text) {  // a line break in the source is a space; <br> alone breaks
      inline_.push_back(*text == '\n' || *text == '\r' || *text == '\f' ? ' ' : *text);
    }
  }

  void element(const GumboNode& at, int depth) {
    const GumboElement& element = at.v.element;
    if (leads_back(element) || is_handle(at)) return;
    if (!is_shown(at)) {
      hidden_bytes_ += hidden_text_bytes(at, 0);
      return;
    }
    switch (element.tag) {
      case GUMBO_TAG_TITLE:
        if (options_.use_title && element.tag_namespace == GUMBO_NAMESPACE_HTML) builder_.set_title(plain_text(at));
        return;
      case GUMBO_TAG_BR:
        inline_.push_back('\n');
        return;
      case GUMBO_TAG_INPUT:
        if (attribute_of(element, "type") == "checkbox") {
          inline_ += gumbo_get_attribute(&element.attributes, "checked") != nullptr ? "[x] " : "[ ] ";
        }
        return;
      case GUMBO_TAG_SUP:
        return raised(at, depth);
      case GUMBO_TAG_H1:
      case GUMBO_TAG_H2:
      case GUMBO_TAG_H3:
      case GUMBO_TAG_H4:
      case GUMBO_TAG_H5:
      case GUMBO_TAG_H6:
        return block(at, depth, {BlockKind::kHeading, static_cast<int>(element.tag - GUMBO_TAG_H1) + 1});
      case GUMBO_TAG_PRE:
      case GUMBO_TAG_LISTING:
      case GUMBO_TAG_XMP:
        return preformatted(at, depth);
      case GUMBO_TAG_LI:
        return list_item(at, depth);
      case GUMBO_TAG_TABLE:
        return table(at, depth);
      default:
        if (starts_block(element.tag)) return block(at, depth, place_);
        children_of(at, depth);
    }
  }

  void block(const GumboNode& at, int depth, const BlockPlace& place) {
    flush();
    const BlockPlace outer = place_;
    place_ = place;
    children_of(at, depth);
    flush();
    place_ = outer;
  }

  void preformatted(const GumboNode& at, int depth) {
    flush();
    const BlockPlace outer = place_;
    place_ = {BlockKind::kCode};
    ++pre_;
    children_of(at, depth);
    flush();
    --pre_;
    place_ = outer;
  }

  void raised(const GumboNode& at, int depth) {
    const size_t before = inline_.size();
    children_of(at, depth);
    if (inline_.size() < before) return;  // a block within it was written
    const std::string text = inline_.substr(before);
    inline_.resize(before);
    append_raised(inline_, text, is_linked(at));
  }

  void list_item(const GumboNode& at, int depth) {
    flush();
    marker_ = "- ";
    if (at.parent != nullptr && is_element(*at.parent) && at.parent->v.element.tag == GUMBO_TAG_OL) {
      const GumboAttribute* start = gumbo_get_attribute(&at.parent->v.element.attributes, "start");
      int number = start != nullptr ? std::atoi(start->value) : 1;
      const GumboVector& siblings = at.parent->v.element.children;
      for (size_t i = 0; i < std::min<size_t>(at.index_within_parent, siblings.length); ++i) {
        const auto& sibling = *static_cast<const GumboNode*>(siblings.data[i]);
        if (!is_element(sibling) || sibling.v.element.tag != GUMBO_TAG_LI) continue;
        number = own_number(sibling, number) + 1;
      }
      number = own_number(at, number);
      marker_ = std::to_string(number) + ". ";
    }
    block(at, depth, {BlockKind::kListItem});
    marker_.clear();
  }

  static int own_number(const GumboNode& item, int otherwise) {
    const GumboAttribute* value = gumbo_get_attribute(&item.v.element.attributes, "value");
    return value != nullptr ? std::atoi(value->value) : otherwise;
  }

  void table(const GumboNode& at, int depth) {
    const std::string rows = table_text(at, [this](const GumboNode& node) { return is_shown(node); });
    if (rows.empty()) return block(at, depth, place_);
    flush();
    builder_.add({BlockKind::kTable}, rows, WhiteSpace::kKeep);
  }

  void flush() {
    BlockPlace place = place_;
    // Only what first follows the bullet is the item; paragraphs after it are paragraphs.
    const bool blank = inline_.find_first_not_of(" \t\r\n\f") == std::string::npos;
    if (!blank) {
      if (place.kind == BlockKind::kListItem && marker_.empty()) place.kind = BlockKind::kParagraph;
      if (pre_ > 0) {
        builder_.add(place, inline_, WhiteSpace::kKeep);
      } else {
        inline_.insert(0, marker_);
        if (place.kind == BlockKind::kHeading && place.level <= 2) builder_.set_title(inline_);
        builder_.add(place, inline_);
      }
      marker_.clear();
    }
    inline_.clear();
  }

  bool is_shown(const GumboNode& node) const {
    const GumboElement& element = node.v.element;
    if (never_shown(element.tag)) return false;
    const auto has = [&](const char* name) { return gumbo_get_attribute(&element.attributes, name) != nullptr; };
    if (has("hidden") || attribute_of(element, "aria-hidden") == "true") return false;
    if (tag_name(element) == "dialog" && !has("open")) return false;
    const GumboNode* at = &node;
    size_t above = 0;  // how far `at` is above `node`: asked for in order, so no walk begins anew
    const auto ancestor = [&](size_t up) -> std::optional<HidingRules::Element> {
      if (up < above) {
        at = &node;
        above = 0;
      }
      for (; above < up && at != nullptr; ++above) at = at->parent;
      if (at == nullptr || !is_element(*at)) return std::nullopt;
      return HidingRules::Element{tag_name(at->v.element), attribute_of(at->v.element, "id"),
                                  attribute_of(at->v.element, "class")};
    };
    return !rules_.hides(ancestor, attribute_of(element, "style"));
  }

  // Of what was meant to be text: code of scripts and styles does not count.
  static size_t hidden_text_bytes(const GumboNode& at, int depth) {
    if (is_text(at))
      return std::string_view(at.v.text.text).find_first_not_of(" \t\r\n") == std::string_view::npos
                 ? 0
                 : std::string_view(at.v.text.text).size();
    if (!is_element(at) || depth > kMaxTreeDepth || never_shown(at.v.element.tag)) return 0;
    size_t bytes = 0;
    const GumboVector& children = at.v.element.children;
    for (unsigned i = 0; i < children.length; ++i) {
      bytes += hidden_text_bytes(*static_cast<const GumboNode*>(children.data[i]), depth + 1);
    }
    return bytes;
  }

  const HtmlOptions& options_;
  DocumentBuilder& builder_;
  HidingRules rules_;
  std::string inline_;
  std::string marker_;  // owed before the next text of a list item
  BlockPlace place_;
  int pre_ = 0;
  size_t hidden_bytes_ = 0;
};

}  // namespace

Status append_html(std::string_view html, const HtmlOptions& options, DocumentBuilder& builder) {
  const std::string bounded = bounded_html(html, options.xhtml);
  Arena arena;
  GumboOptions parse = kGumboDefaultOptions;
  parse.allocator = Arena::take;
  parse.deallocator = Arena::give_back;
  parse.userdata = &arena;
  parse.max_errors = 0;
  const GumboOutput* tree = gumbo_parse_with_options(&parse, bounded.data(), bounded.size());
  Walker(options, builder).walk(*tree->root);
  return ok();
}

std::string declared_charset(std::string_view bytes) {
  const std::string head = ascii_lower(bytes.substr(0, 2048));
  for (const std::string_view key : {"charset=", "encoding="}) {
    size_t at = head.find(key);
    if (at == std::string::npos) continue;
    at = head.find_first_not_of(" \"'", at + key.size());
    if (at == std::string::npos) continue;
    const size_t end = head.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-_", at);
    return head.substr(at, std::min<size_t>(end - at, 40));
  }
  return {};
}

Status read_html(ReaderJob& job) {
  PHIAL_TRY(const DecodedText decoded, to_utf8(job.source.bytes, declared_charset(job.source.bytes)));
  const std::string_view name = job.source.name;
  const HtmlOptions options{.xhtml = name.ends_with(".xhtml")};
  return append_html(decoded.text, options, job.builder);
}

}  // namespace phial::documents
