// The report of `phial bench` as a page: one HTML file that needs nothing else, not even a network.
#pragma once

#include <string>

#include "phial/cli/bench_report.h"

namespace phial::cli {

std::string bench_page(const BenchReport& report);

}  // namespace phial::cli
