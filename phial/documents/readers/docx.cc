// DOCX: paragraphs of the main part in order. Text that was deleted under change tracking or is marked hidden is left
// out, as a person with the document open would not see it; comments are left out with a warning. Footnotes follow the
// paragraph that refers to them.
#include <algorithm>
#include <charconv>
#include <list>
#include <map>
#include <vector>

#include "phial/documents/archive.h"
#include "phial/documents/readers/docx_math.h"
#include "phial/documents/readers/docx_styles.h"
#include "phial/documents/readers/readers.h"
#include "phial/documents/readers/xml.h"

namespace phial::documents {
namespace {

constexpr int kMostDepth = 200;  // of nested elements; Word itself stays below thirty

bool is_on(const pugi::xml_node& property) {
  if (!property) return false;
  const std::string_view value = attribute_named(property, "val");
  return value != "0" && value != "false" && value != "off" && value != "none";
}

int number_of(std::string_view text) {
  int value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

// Hidden, or set so small that only programs find it.
bool is_hidden_run(const pugi::xml_node& properties) {
  if (is_on(child_named(properties, "vanish")) || is_on(child_named(properties, "webHidden"))) return true;
  const std::string_view half_points = attribute_named(child_named(properties, "sz"), "val");
  return !half_points.empty() && number_of(half_points) <= 2;
}

using Notes = std::map<std::string, pugi::xml_node, std::less<>>;

// Of what is there twice, for newer and older programs.
pugi::xml_node chosen(const pugi::xml_node& alternatives) {
  const pugi::xml_node choice = child_named(alternatives, "Choice");
  return choice ? choice : child_named(alternatives, "Fallback");
}

bool is_raised(const pugi::xml_node& properties) {
  return attribute_named(child_named(properties, "vertAlign"), "val") == "superscript";
}

class DocxReader {
 public:
  DocxReader(ReaderJob& job, Archive& archive, const std::string& folder)
      : builder_(job.builder), styles_(archive, folder) {
    read_notes(archive, folder + "footnotes.xml", "footnote");
    read_notes(archive, folder + "endnotes.xml", "endnote");
  }

  void body(const pugi::xml_node& parent, int depth) {
    if (depth > kMostDepth) return;
    for (const pugi::xml_node& node : parent.children()) {
      if (builder_.full()) return;
      const std::string_view name = local_name(node);
      if (name == "p") {
        paragraph(node, depth);
      } else if (name == "tbl") {
        table(node, depth);
      } else if (name == "del" || name == "moveFrom") {
        deleted_ = true;
      } else if (name == "AlternateContent") {
        body(chosen(node), depth + 1);
      } else if (name != "sectPr" && name != "pPr") {
        body(node, depth + 1);  // content controls, insertions and other wrappers
      }
    }
  }

  void report(bool has_comments) {
    if (has_comments) builder_.leave_out("comments were left out");
    if (deleted_) builder_.leave_out("text deleted under change tracking was left out");
    if (hidden_) builder_.leave_out("hidden text was left out");
  }

 private:
  void read_notes(Archive& archive, const std::string& part, std::string_view kind) {
    if (!archive.has(part)) return;
    auto content = archive.read(part);
    auto xml = content ? parse_xml(*content, part) : Result<pugi::xml_document>(content.error());
    if (!xml) {
      builder_.warn("the footnotes are damaged and were left out");
      return;
    }
    notes_xml_.push_back(*std::move(xml));
    for (const pugi::xml_node& note : notes_xml_.back().first_child().children()) {
      if (!attribute_named(note, "type").empty()) continue;  // separators
      notes_[std::string(kind) + std::string(attribute_named(note, "id"))] = note;
    }
  }

  struct Inline {
    std::string& text;
    std::vector<pugi::xml_node>& boxes;  // text boxes that hang on the paragraph
    std::vector<pugi::xml_node>& notes;
    bool hidden = false;  // by the paragraph's style
  };

  void paragraph(const pugi::xml_node& node, int depth) {
    const pugi::xml_node properties = child_named(node, "pPr");
    ParagraphStyle style = styles_.style(attribute_named(child_named(properties, "pStyle"), "val"));
    if (const pugi::xml_node level = child_named(properties, "outlineLvl")) {
      const int outline = number_of(attribute_named(level, "val"));
      style.heading_level = outline >= 0 && outline < 9 ? std::min(outline + 1, 6) : 0;
    }
    std::string text;
    std::vector<pugi::xml_node> boxes, notes;
    Inline in{text, boxes, notes, style.hidden};
    inline_content(node, depth, in);
    add(properties, style, text);
    for (const pugi::xml_node& box : boxes) body(box, depth + 1);
    for (const pugi::xml_node& note : notes) body(note, depth + 1);
  }

  void add(const pugi::xml_node& properties, const ParagraphStyle& style, const std::string& text) {
    if (text.find_first_not_of(" \t\n") == std::string::npos) return;
    if (style.title) builder_.set_title(text);
    const pugi::xml_node own = child_named(properties, "numPr");
    const std::string_view numbering =
        own ? attribute_named(child_named(own, "numId"), "val") : std::string_view(style.numbering);
    const pugi::xml_node own_depth = child_named(own, "ilvl");
    const int numbering_depth = own_depth ? number_of(attribute_named(own_depth, "val")) : style.numbering_depth;
    const bool numbered = !numbering.empty() && numbering != "0";
    const std::string marker = numbered ? styles_.next_marker(numbering, numbering_depth) : "";
    if (style.heading_level > 0) {
      builder_.add({BlockKind::kHeading, style.heading_level}, (marker == "- " ? "" : marker) + text);
    } else if (numbered) {
      builder_.add({BlockKind::kListItem}, marker + text);
    } else if (style.code) {
      builder_.add({BlockKind::kCode}, text, WhiteSpace::kKeep);
    } else {
      builder_.add({}, text);
    }
  }

  void run(const pugi::xml_node& node, int depth, Inline& in) {
    const pugi::xml_node properties = child_named(node, "rPr");
    const std::string_view style = attribute_named(child_named(properties, "rStyle"), "val");
    if (in.hidden || is_hidden_run(properties) || (!style.empty() && styles_.style(style).hidden)) {
      hidden_ = hidden_ || !std::string_view(child_named(node, "t").text().get()).empty();
      return;
    }
    const size_t before = in.text.size();
    inline_content(node, depth + 1, in);
    if (!is_raised(properties)) return;
    const std::string raised = in.text.substr(before);
    in.text.resize(before);
    append_raised(in.text, raised, false);
  }

  void inline_content(const pugi::xml_node& parent, int depth, Inline& in) {
    if (depth > kMostDepth) return;
    for (const pugi::xml_node& node : parent.children()) {
      const std::string_view name = local_name(node);
      if (name == "r") {
        run(node, depth, in);
      } else if (name == "t") {
        in.text += node.text().get();
      } else if (name == "tab" || name == "ptab") {
        in.text += '\t';
      } else if (name == "br" || name == "cr") {
        in.text += '\n';
      } else if (name == "noBreakHyphen") {
        in.text += '-';
      } else if (name == "oMath") {
        in.text += math_text(node);
      } else if (name == "txbxContent") {
        in.boxes.push_back(node);
      } else if (name == "footnoteReference" || name == "endnoteReference") {
        add_note(name.substr(0, name.find("Reference")), node, in);
      } else if (name == "AlternateContent") {
        inline_content(chosen(node), depth + 1, in);
      } else if (name == "del" || name == "moveFrom") {
        deleted_ = true;
      } else if (name != "pPr" && name != "rPr" && name != "instrText" && name != "delText") {
        inline_content(node, depth + 1, in);  // links, insertions, drawings and other wrappers
      }
    }
  }

  void add_note(std::string_view kind, const pugi::xml_node& reference, Inline& in) {
    const auto note = notes_.find(std::string(kind) + std::string(attribute_named(reference, "id")));
    if (note == notes_.end()) return;
    in.notes.push_back(note->second);
    notes_.erase(note);  // once, though it be referred to often or by itself
  }

  // Rows of one line each; a table of one column only frames what is in it.
  void table(const pugi::xml_node& node, int depth) {
    std::vector<std::vector<pugi::xml_node>> rows;
    gather_rows(node, depth, rows);
    const bool frames = std::all_of(rows.begin(), rows.end(), [](const auto& row) { return row.size() < 2; });
    if (frames) {
      for (const auto& row : rows) {
        for (const pugi::xml_node& cell : row) body(cell, depth + 1);
      }
      return;
    }
    std::string text;
    std::vector<pugi::xml_node> boxes, notes;
    for (const auto& row : rows) {
      if (!text.empty()) text += '\n';
      for (size_t i = 0; i < row.size(); ++i) {
        std::string cell;
        Inline in{cell, boxes, notes};
        cell_text(row[i], depth + 1, in);
        cell = clean_text(cell, WhiteSpace::kCollapse);
        std::replace(cell.begin(), cell.end(), '\n', ' ');
        text.append(i > 0 ? " | " : "").append(cell);
      }
    }
    if (text.find_first_not_of(" |\n") != std::string::npos) builder_.add({BlockKind::kTable}, text, WhiteSpace::kKeep);
    for (const pugi::xml_node& box : boxes) body(box, depth + 1);
    for (const pugi::xml_node& note : notes) body(note, depth + 1);
  }

  // Rows and cells may stand in wrappers, as content controls.
  void gather_rows(const pugi::xml_node& parent, int depth, std::vector<std::vector<pugi::xml_node>>& rows) {
    if (depth > kMostDepth) return;
    for (const pugi::xml_node& node : parent.children()) {
      const std::string_view name = local_name(node);
      if (name == "tr") {
        if (child_named(child_named(node, "trPr"), "del")) {
          deleted_ = true;
          continue;
        }
        rows.emplace_back();
        gather_rows(node, depth + 1, rows);
      } else if (name == "tc") {
        if (rows.empty()) rows.emplace_back();
        rows.back().push_back(node);
      } else if (name != "del" && name != "tblPr" && name != "trPr") {
        gather_rows(node, depth + 1, rows);
      }
    }
  }

  void cell_text(const pugi::xml_node& parent, int depth, Inline& in) {
    if (depth > kMostDepth) return;
    for (const pugi::xml_node& node : parent.children()) {
      const std::string_view name = local_name(node);
      if (name == "p") {
        if (!in.text.empty()) in.text += ' ';
        inline_content(node, depth + 1, in);
      } else if (name != "del" && name != "tcPr") {
        cell_text(node, depth + 1, in);
      }
    }
  }

  DocumentBuilder& builder_;
  DocxStyles styles_;
  std::list<pugi::xml_document> notes_xml_;  // nodes point into their document
  Notes notes_;
  bool deleted_ = false;
  bool hidden_ = false;
};

// Where the main part lies: the package says so, though all writers put it in the same place.
std::string main_part(Archive& archive) {
  if (const auto content = archive.read("_rels/.rels")) {
    if (const auto xml = parse_xml(*content, "_rels/.rels")) {
      for (const pugi::xml_node& relation : child_named(*xml, "Relationships").children()) {
        if (!attribute_named(relation, "Type").ends_with("/officeDocument")) continue;
        const std::string path = resolve_reference("", attribute_named(relation, "Target"));
        if (archive.has(path)) return path;
      }
    }
  }
  return "word/document.xml";
}

void set_title_of(Archive& archive, DocumentBuilder& builder) {
  if (!archive.has("docProps/core.xml")) return;
  const auto content = archive.read("docProps/core.xml");
  if (!content) return;
  const auto xml = parse_xml(*content, "docProps/core.xml");
  if (xml) builder.set_title(child_named(child_named(*xml, "coreProperties"), "title").text().get());
}

}  // namespace

Status read_docx(ReaderJob& job) {
  PHIAL_TRY(Archive archive, Archive::open(job.source.bytes));
  const std::string path = main_part(archive);
  PHIAL_TRY(const std::string content, archive.read(path));
  PHIAL_TRY(const pugi::xml_document xml, parse_xml(content, path));
  const std::string folder = path.substr(0, path.rfind('/') + 1);
  set_title_of(archive, job.builder);
  DocxReader reader(job, archive, folder);
  reader.body(child_named(child_named(xml, "document"), "body"), 0);
  const auto comments =
      archive.has(folder + "comments.xml") ? archive.read(folder + "comments.xml") : Result<std::string>(std::string());
  reader.report(comments && comments->find("<w:comment ") != std::string::npos);
  return ok();
}

}  // namespace phial::documents
