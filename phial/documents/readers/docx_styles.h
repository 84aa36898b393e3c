// What a Word document says elsewhere about its paragraphs: styles (which are headings) and numbering (which lists
// count).
#pragma once

#include <map>
#include <pugixml.hpp>
#include <string>
#include <string_view>

#include "phial/documents/archive.h"

namespace phial::documents {

struct ParagraphStyle {
  int heading_level = 0;  // 1 to 6; 0: none
  bool title = false;
  bool code = false;
  std::string numbering;  // the list that paragraphs of the style belong to; empty: none
};

class DocxStyles {
 public:
  // `folder`: where the main part lies, as "word/". Parts that are missing or damaged say nothing.
  DocxStyles(Archive& archive, const std::string& folder);

  ParagraphStyle style(std::string_view id) const;

  // The mark before the next item of that list at that depth: "- " or "3. ". Counts.
  std::string next_marker(std::string_view numbering, int depth);

 private:
  struct Style {
    std::string name, based_on, numbering;
    int outline_level = -1;
  };
  void read_styles(const pugi::xml_node& root);
  void read_numbering(const pugi::xml_node& root);

  std::map<std::string, Style, std::less<>> styles_;
  std::map<std::string, std::map<int, bool>, std::less<>> counts_;  // list -> depth -> is it numbered
  std::map<std::string, std::map<int, int>, std::less<>> last_;     // list -> depth -> the last number given
};

}  // namespace phial::documents
