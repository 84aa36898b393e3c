// Equations of Office documents as a line of text.
#pragma once

#include <pugixml.hpp>
#include <string>

namespace phial::documents {

// "(a+b)/2", "x^2", "x_i", "√(x)": what stands in an <m:oMath> element.
std::string math_text(const pugi::xml_node& math);

}  // namespace phial::documents
