// What this program is.
#pragma once

#include <string>

#include "phial/base/result.h"

namespace phial::cli {

std::string version();       // "0.1.0"
std::string version_text();  // for --version: and the instruction sets compiled in, runnable here and chosen
// kInvalid if PHIAL_ISA names an instruction set that does not run here.
Status check_instruction_set();

}  // namespace phial::cli
