// Chat template -> syntax tree. Nesting is bounded, so that neither parsing nor running nor destroying one can exhaust
// the stack.
#pragma once

#include <string_view>
#include <vector>

#include "phial/base/result.h"
#include "phial/generate/jinja/syntax.h"

namespace phial::generate::jinja {

// kCorrupt with the line for what is not a template, kUnsupported by name for what is one but is not done here.
Result<std::vector<Statement>> parse(std::string_view source);

}  // namespace phial::generate::jinja
