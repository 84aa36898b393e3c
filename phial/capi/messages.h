// A conversation as JSON, of which nobody knows who wrote it, as messages.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "phial/base/result.h"
#include "phial/generate/language_model.h"

namespace phial::capi {

// [{"role": "user", "content": "...", "images": [0]}, ...]: images by their place among `pictures`. kInvalid, by the
// message's place, for anything else: an unknown key, a role that no model knows, a picture that is not there or that
// no message names.
Result<std::vector<generate::Message>> read_messages(std::string_view json,
                                                     std::span<const generate::Picture> pictures);

}  // namespace phial::capi
