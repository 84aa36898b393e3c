// The report of `phial bench` as a page: one HTML file that needs nothing else, not even a network.
#pragma once

#include <string>
#include <string_view>

#include "phial/cli/bench_report.h"

namespace phial::cli {

std::string bench_page(const BenchReport& report);

// `text` as HTML shows it letter by letter, in elements and in attributes.
std::string html_text(std::string_view text);

}  // namespace phial::cli
