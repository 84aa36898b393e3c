// What a page's styles hide. Not a style engine: inline declarations, and rules whose selectors are made of elements,
// classes and ids, alone or within one another. Of two rules about one thing, the more specific and then the later
// counts. Text hidden by other means is taken for visible.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace phial::documents {

// What declarations such as "display:none" say about whether an element's text can be seen: one property at a time may
// hide it or show it again.
struct Hiding {
  std::optional<bool> display, visibility;  // true: hides
  bool otherwise = false;                   // by size, place, colour or the like
};
Hiding read_declarations(std::string_view declarations);

class HidingRules {
 public:
  struct Element {
    std::string_view tag, id, classes;
  };
  // `ancestor(0)` is the element itself, `ancestor(1)` its parent; nothing above the page.
  using Ancestors = std::function<std::optional<Element>(size_t)>;

  // The text of one <style> element. Of the rules within @media, those for the screen count.
  void add_sheet(std::string_view css);
  // `inline_style`: the element's own declarations, which count more than the rules.
  bool hides(const Ancestors& ancestor, std::string_view inline_style) const;

 private:
  struct Compound {
    std::string tag, id;
    std::vector<std::string> classes;
    bool directly = false;  // ">" stands before it: a child of what the one before it names
  };
  struct Rule {
    std::vector<Compound> selector;
    int specificity = 0;
    Hiding hiding;
  };
  static bool parse(std::string_view text, Rule* rule);
  static bool fits(const Compound& compound, const Element& element);
  static bool fits(const Rule& rule, const Ancestors& ancestor);
  void add_rules(std::string_view plain, int depth);

  std::vector<Rule> rules_;
};

}  // namespace phial::documents
