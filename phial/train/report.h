// A run's metrics.jsonl as a page: one HTML file that needs nothing else, not even a network.
//
// Head figures, then a plot for each key that has numbers; "held_out_KEY" shares the plot of KEY. What is
// noisy has its exponential average before it, and the steps themselves thin behind that. A value beyond kLargestValue
// (train/curve_plot.h) counts as not finite and is left out, as null is. Errors: kNotFound, kIo; kCorrupt, with its
// file and number, for a line that is no JSON object with a "step" of 0 to kLastStep; kOutOfRange for a file beyond 256
// MiB. Threads: one.
#pragma once

#include <filesystem>
#include <string_view>

#include "phial/base/result.h"

namespace phial::train {

// Replaces what stands at `out_html`, whole. A file without a line makes a page that says so.
Status write_report(const std::filesystem::path& metrics_jsonl, const std::filesystem::path& out_html,
                    std::string_view title);

}  // namespace phial::train
