// Errors on phial-reader's standard output: {"error": {"code": "corrupt", "message": "...", "remedy": "..."}}.
#pragma once

#include "phial/base/json.h"
#include "phial/base/result.h"

namespace phial::documents {

Json error_to_json(const Error& error);

// The error that `json` describes; one that says so if it describes none.
Error error_from_json(const Json& json);

}  // namespace phial::documents
