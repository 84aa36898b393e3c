// Text into HTML pages.
#pragma once

#include <string>
#include <string_view>

namespace phial {

// As it stands in an element or a quoted attribute: one line, control characters made visible. Any bytes.
std::string html_text(std::string_view text);

}  // namespace phial
