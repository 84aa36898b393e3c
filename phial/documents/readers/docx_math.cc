#include "phial/documents/readers/docx_math.h"

#include "phial/documents/readers/xml.h"

namespace phial::documents {
namespace {

constexpr int kMostMathDepth = 100;

std::string children_of(const pugi::xml_node& parent, int depth);

// In brackets where it is more than one letter or number.
std::string group(const pugi::xml_node& node, int depth) {
  const std::string text = children_of(node, depth);
  const bool one = text.find_first_of(" +-*/=^_,") == std::string::npos;
  return one ? text : "(" + text + ")";
}

std::string scripts(const pugi::xml_node& node, int depth) {
  std::string text = group(child_named(node, "e"), depth);
  if (const pugi::xml_node below = child_named(node, "sub")) text.append("_").append(group(below, depth));
  if (const pugi::xml_node above = child_named(node, "sup")) text.append("^").append(group(above, depth));
  return text;
}

// Sums, integrals and their like; the sign is a property, and an integral where none is given.
std::string operation(const pugi::xml_node& node, int depth) {
  const std::string_view sign = attribute_named(child_named(child_named(node, "naryPr"), "chr"), "val");
  std::string text(sign.empty() ? "∫" : sign);
  const std::string from = children_of(child_named(node, "sub"), depth),
                    to = children_of(child_named(node, "sup"), depth);
  if (!from.empty()) text.append("_(").append(from).append(")");
  if (!to.empty()) text.append("^(").append(to).append(")");
  return text.append(" ").append(children_of(child_named(node, "e"), depth));
}

std::string delimited(const pugi::xml_node& node, int depth) {
  const pugi::xml_node properties = child_named(node, "dPr");
  const pugi::xml_node open = child_named(properties, "begChr"), close = child_named(properties, "endChr");
  std::string text(open ? attribute_named(open, "val") : "(");
  bool first = true;
  for (const pugi::xml_node& child : node.children()) {
    if (local_name(child) != "e") continue;
    text.append(first ? "" : ", ").append(children_of(child, depth));
    first = false;
  }
  return text.append(close ? attribute_named(close, "val") : ")");
}

std::string matrix(const pugi::xml_node& node, int depth) {
  std::string text;
  for (const pugi::xml_node& row : node.children()) {
    if (local_name(row) != "mr" && local_name(row) != "e") continue;
    if (!text.empty()) text += "; ";
    if (local_name(row) == "e") {
      text += children_of(row, depth);
      continue;
    }
    bool first = true;
    for (const pugi::xml_node& cell : row.children()) {
      text.append(first ? "" : ", ").append(children_of(cell, depth));
      first = false;
    }
  }
  return text;
}

std::string element(const pugi::xml_node& node, int depth) {
  const std::string_view name = local_name(node);
  if (name == "t") return node.text().get();
  if (name == "f") return group(child_named(node, "num"), depth) + "/" + group(child_named(node, "den"), depth);
  if (name == "sSup" || name == "sSub" || name == "sSubSup") return scripts(node, depth);
  if (name == "nary") return operation(node, depth);
  if (name == "d") return delimited(node, depth);
  if (name == "m" || name == "eqArr") return matrix(node, depth);
  if (name == "rad") {
    const std::string degree = children_of(child_named(node, "deg"), depth);
    const std::string root = degree.empty() || degree == "2" ? "√" : "root_" + degree;
    return root + "(" + children_of(child_named(node, "e"), depth) + ")";
  }
  if (name == "func") {
    return children_of(child_named(node, "fName"), depth) + " " + children_of(child_named(node, "e"), depth);
  }
  if (name.ends_with("Pr")) return {};
  return children_of(node, depth);
}

std::string children_of(const pugi::xml_node& parent, int depth) {
  std::string text;
  if (depth > kMostMathDepth) return text;
  for (const pugi::xml_node& node : parent.children()) text += element(node, depth + 1);
  return text;
}

}  // namespace

std::string math_text(const pugi::xml_node& math) { return children_of(math, 0); }

}  // namespace phial::documents
