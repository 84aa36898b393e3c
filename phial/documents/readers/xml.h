// XML in Office and book files: prefixes differ from writer to writer, so names are compared without them.
#pragma once

#include <pugixml.hpp>
#include <string>
#include <string_view>

#include "phial/base/result.h"

namespace phial::documents {

// `part` names it in errors. kCorrupt for anything that is not well-formed.
Result<pugi::xml_document> parse_xml(std::string_view xml, std::string_view part);

// "p" of "w:p".
std::string_view local_name(const pugi::xml_node& node);

// Children and attributes by local name; null where there is none.
pugi::xml_node child_named(const pugi::xml_node& node, std::string_view name);
std::string_view attribute_named(const pugi::xml_node& node, std::string_view name);

}  // namespace phial::documents
