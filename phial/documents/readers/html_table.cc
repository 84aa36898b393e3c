#include "phial/documents/readers/html_table.h"

#include <algorithm>
#include <vector>

#include "phial/documents/builder.h"
#include "phial/documents/readers/html.h"

namespace phial::documents {
namespace {

constexpr size_t kLongestCell = 600;

bool lays_out(GumboTag tag) {
  switch (tag) {
    case GUMBO_TAG_TABLE:
    case GUMBO_TAG_H1:
    case GUMBO_TAG_H2:
    case GUMBO_TAG_H3:
    case GUMBO_TAG_H4:
    case GUMBO_TAG_UL:
    case GUMBO_TAG_OL:
    case GUMBO_TAG_DL:
    case GUMBO_TAG_PRE:
      return true;
    default:
      return false;
  }
}

class TableText {
 public:
  explicit TableText(const std::function<bool(const GumboNode&)>& is_shown) : is_shown_(is_shown) {}

  std::string take(const GumboNode& table) {
    visit(table, 0);
    const bool has_columns = std::any_of(rows_.begin(), rows_.end(), [](const auto& row) { return row.size() > 1; });
    if (lays_out_ || !has_columns) return {};
    std::string text = std::move(caption_);
    for (const auto& row : rows_) {
      if (!text.empty()) text.push_back('\n');
      for (size_t i = 0; i < row.size(); ++i) text.append(i > 0 ? " | " : "").append(row[i]);
    }
    return text;
  }

 private:
  void visit(const GumboNode& at, int depth) {
    if (!is_element(at) || depth > kMaxTreeDepth || lays_out_) return;
    const GumboElement& element = at.v.element;
    if (!is_shown_(at)) return;
    if (depth > 0 && element.tag == GUMBO_TAG_TABLE) lays_out_ = true;
    if (element.tag == GUMBO_TAG_CAPTION) {
      caption_ = one_line(at);
      return;
    }
    if (element.tag == GUMBO_TAG_TR) rows_.emplace_back();
    if (element.tag == GUMBO_TAG_TD || element.tag == GUMBO_TAG_TH) {
      if (rows_.empty()) rows_.emplace_back();
      std::string cell = one_line(at);
      lays_out_ = lays_out_ || cell.size() > kLongestCell;
      rows_.back().push_back(std::move(cell));
      return;
    }
    for (unsigned i = 0; i < element.children.length; ++i) {
      visit(*static_cast<const GumboNode*>(element.children.data[i]), depth + 1);
    }
  }

  std::string one_line(const GumboNode& at) {
    std::string text;
    gather(at, 0, text);
    text = clean_text(text, WhiteSpace::kCollapse);
    std::replace(text.begin(), text.end(), '\n', ' ');
    return text;
  }

  void gather(const GumboNode& at, int depth, std::string& text) {
    if (is_text(at)) {
      text += at.v.text.text;
      return;
    }
    if (!is_element(at) || depth > kMaxTreeDepth || !is_shown_(at)) return;
    const GumboElement& element = at.v.element;
    lays_out_ = lays_out_ || lays_out(element.tag);
    if (element.tag == GUMBO_TAG_SUP) {
      std::string raised;
      children_of(element, depth, raised);
      append_raised(text, raised, is_linked(at));
      return;
    }
    if (element.tag == GUMBO_TAG_BR || starts_block(element.tag)) text.push_back(' ');
    children_of(element, depth, text);
    if (starts_block(element.tag)) text.push_back(' ');
  }

  void children_of(const GumboElement& element, int depth, std::string& text) {
    for (unsigned i = 0; i < element.children.length && !lays_out_; ++i) {
      gather(*static_cast<const GumboNode*>(element.children.data[i]), depth + 1, text);
    }
  }

  const std::function<bool(const GumboNode&)>& is_shown_;
  std::vector<std::vector<std::string>> rows_;
  std::string caption_;
  bool lays_out_ = false;
};

bool holds_link(const GumboNode& at, int depth) {
  if (!is_element(at) || depth > kMaxTreeDepth) return false;
  if (at.v.element.tag == GUMBO_TAG_A) return true;
  const GumboVector& children = at.v.element.children;
  for (unsigned i = 0; i < children.length; ++i) {
    if (holds_link(*static_cast<const GumboNode*>(children.data[i]), depth + 1)) return true;
  }
  return false;
}

}  // namespace

bool is_linked(const GumboNode& element) {
  const bool within =
      element.parent != nullptr && is_element(*element.parent) && element.parent->v.element.tag == GUMBO_TAG_A;
  return within || holds_link(element, 0);
}

bool is_element(const GumboNode& node) { return node.type == GUMBO_NODE_ELEMENT; }

bool is_text(const GumboNode& node) {
  return node.type == GUMBO_NODE_TEXT || node.type == GUMBO_NODE_WHITESPACE || node.type == GUMBO_NODE_CDATA;
}

bool never_shown(GumboTag tag) {
  switch (tag) {
    case GUMBO_TAG_SCRIPT:
    case GUMBO_TAG_STYLE:
    case GUMBO_TAG_NOSCRIPT:
    case GUMBO_TAG_TEMPLATE:
    case GUMBO_TAG_IFRAME:
    case GUMBO_TAG_OBJECT:
    case GUMBO_TAG_AUDIO:
    case GUMBO_TAG_VIDEO:
    case GUMBO_TAG_CANVAS:
    case GUMBO_TAG_SVG:
    case GUMBO_TAG_DATALIST:
    case GUMBO_TAG_RP:
    case GUMBO_TAG_NOFRAMES:
      return true;
    default:
      return false;
  }
}

bool starts_block(GumboTag tag) {
  switch (tag) {
    case GUMBO_TAG_HTML:
    case GUMBO_TAG_BODY:
    case GUMBO_TAG_ADDRESS:
    case GUMBO_TAG_ARTICLE:
    case GUMBO_TAG_ASIDE:
    case GUMBO_TAG_BLOCKQUOTE:
    case GUMBO_TAG_CENTER:
    case GUMBO_TAG_DD:
    case GUMBO_TAG_DETAILS:
    case GUMBO_TAG_DIR:
    case GUMBO_TAG_DIV:
    case GUMBO_TAG_DL:
    case GUMBO_TAG_DT:
    case GUMBO_TAG_FIELDSET:
    case GUMBO_TAG_FIGCAPTION:
    case GUMBO_TAG_FIGURE:
    case GUMBO_TAG_FOOTER:
    case GUMBO_TAG_FORM:
    case GUMBO_TAG_HEADER:
    case GUMBO_TAG_HR:
    case GUMBO_TAG_LEGEND:
    case GUMBO_TAG_MAIN:
    case GUMBO_TAG_MENU:
    case GUMBO_TAG_NAV:
    case GUMBO_TAG_OL:
    case GUMBO_TAG_OPTION:
    case GUMBO_TAG_P:
    case GUMBO_TAG_SECTION:
    case GUMBO_TAG_SELECT:
    case GUMBO_TAG_SUMMARY:
    case GUMBO_TAG_TABLE:
    case GUMBO_TAG_TBODY:
    case GUMBO_TAG_THEAD:
    case GUMBO_TAG_TFOOT:
    case GUMBO_TAG_TR:
    case GUMBO_TAG_TD:
    case GUMBO_TAG_TH:
    case GUMBO_TAG_CAPTION:
    case GUMBO_TAG_TEXTAREA:
    case GUMBO_TAG_UL:
      return true;
    default:
      return false;
  }
}

std::string plain_text(const GumboNode& node) {
  std::string text;
  const GumboVector& children = node.v.element.children;
  for (unsigned i = 0; i < children.length; ++i) {
    const auto& child = *static_cast<const GumboNode*>(children.data[i]);
    if (is_text(child)) text += child.v.text.text;
  }
  return text;
}

std::string table_text(const GumboNode& table, const std::function<bool(const GumboNode&)>& is_shown) {
  return TableText(is_shown).take(table);
}

}  // namespace phial::documents
