#include "phial/documents/readers/xml.h"

namespace phial::documents {
namespace {

std::string_view without_prefix(std::string_view name) {
  const size_t colon = name.find(':');
  return colon == std::string_view::npos ? name : name.substr(colon + 1);
}

}  // namespace

Result<pugi::xml_document> parse_xml(std::string_view xml, std::string_view part) {
  pugi::xml_document document;
  constexpr unsigned kOptions = (pugi::parse_default | pugi::parse_ws_pcdata_single) & ~pugi::parse_eol;
  const pugi::xml_parse_result parsed = document.load_buffer(xml.data(), xml.size(), kOptions);
  if (!parsed) {
    return Error{Code::kCorrupt,
                 "the file's part '" + std::string(part) + "' is damaged at byte " + std::to_string(parsed.offset),
                 "open it in the program that made it and save it again"};
  }
  return document;
}

std::string_view local_name(const pugi::xml_node& node) { return without_prefix(node.name()); }

pugi::xml_node child_named(const pugi::xml_node& node, std::string_view name) {
  for (const pugi::xml_node& child : node.children()) {
    if (local_name(child) == name) return child;
  }
  return {};
}

std::string_view attribute_named(const pugi::xml_node& node, std::string_view name) {
  for (const pugi::xml_attribute& attribute : node.attributes()) {
    if (without_prefix(attribute.name()) == name) return attribute.value();
  }
  return {};
}

}  // namespace phial::documents
