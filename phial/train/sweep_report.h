// How a sweep is told: as JSON, in words, as a page. No header of libtorch is needed.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "phial/base/json.h"
#include "phial/base/result.h"
#include "phial/train/sweep.h"

namespace phial::train {

// As it stands in sweep.json, where null is written for what is infinite or not there.
Json sweep_json(const Sweep& sweep);

// "the best learning rate is 0.004 at width 32 and 0.008 at width 256: it moves by 1.0 factors of two; ..."
std::string sweep_words(const Sweep& sweep);

// Loss over the learning rate, a curve a width, and the figures. `title`: any text. Errors: kIo.
Status write_sweep_page(const Sweep& sweep, const std::filesystem::path& out_html, std::string_view title);

}  // namespace phial::train
