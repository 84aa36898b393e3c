// Which format a file has, from its first bytes and, where those do not tell, from its name.
#pragma once

#include <string>
#include <string_view>

#include "phial/base/result.h"

namespace phial::documents {

// A name of format_names(). kUnsupported, with what it is, for formats that are recognised and not read.
Result<std::string> sniff_format(std::string_view bytes, std::string_view name);

// The extension in lower case, without its dot; empty if there is none.
std::string lower_extension(std::string_view name);

}  // namespace phial::documents
