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
  bool hidden = false;
  std::string numbering;  // the list that paragraphs of the style belong to; empty: none
  int numbering_depth = 0;
};

class DocxStyles {
 public:
  // `folder`: where the main part lies, as "word/". Parts that are missing or damaged say nothing.
  DocxStyles(Archive& archive, const std::string& folder);

  ParagraphStyle style(std::string_view id) const;

  // The mark before the next item of that list at that depth, as "- ", "3. " or "2.1 (c) ". Counts.
  std::string next_marker(std::string_view numbering, int depth);

 private:
  struct Style {
    std::string name, based_on, numbering;
    int outline_level = -1, numbering_depth = 0;
    bool hidden = false;
  };
  struct Level {
    std::string format, text;  // "lowerLetter", "%1.%2"
    int start = 1;
  };
  struct List {
    std::string counter;  // lists of one kind go on counting together
    std::map<int, Level> levels;
  };
  void read_styles(const pugi::xml_node& root);
  void read_numbering(const pugi::xml_node& root);
  static Level read_level(const pugi::xml_node& node);

  std::map<std::string, Style, std::less<>> styles_;
  std::map<std::string, List, std::less<>> lists_;
  std::map<std::string, std::map<int, int>, std::less<>> last_;  // counter -> depth -> the last number given
};

}  // namespace phial::documents
