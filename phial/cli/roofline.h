// The figures of `phial bench` as a roofline: operations a byte against operations a second.
//
// Source: Williams, Waterman, Patterson: Roofline (2009). A point's distance below the roof is what is left to gain.
#pragma once

#include <string>

#include "phial/cli/bench_report.h"

namespace phial::cli {

// One <svg> element that needs nothing else, light or dark as the reader has it. Empty if the probes did not run.
std::string roofline_svg(const BenchReport& report);

}  // namespace phial::cli
