// Runs a template's tree, within bounds on steps, nesting and output.
#pragma once

#include <string>

#include "phial/base/result.h"
#include "phial/generate/jinja_parser.h"
#include "phial/generate/jinja_value.h"

namespace phial::generate::jinja {

// `globals`: what the template can name (messages, bos_token, ...). `date`: for strftime_now, yyyy-mm-dd.
// Promise: `root` outlives the call.
Result<Text> run(const Node& root, const Dict& globals, const std::string& date);

}  // namespace phial::generate::jinja
