// What a page's styles hide. Not a style engine: inline declarations, and rules whose selector is one element, class,
// id or a compound of those. Text hidden by other means is taken for visible.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace phial::documents {

// True if declarations such as "display:none" keep the element's text from being seen.
bool declares_hidden(std::string_view declarations);

class HidingRules {
 public:
  // The text of one <style> element. Rules within @media and the like do not count.
  void add_sheet(std::string_view css);
  bool hides(std::string_view tag, std::string_view id, std::string_view classes) const;

 private:
  struct Selector {
    std::string tag, id;
    std::vector<std::string> classes;
    bool operator==(const Selector&) const = default;
  };
  static bool parse(std::string_view text, Selector* selector);

  std::vector<Selector> hidden_;
};

}  // namespace phial::documents
