// Where the program phial-reader is, if nobody says.
#pragma once

#include <string>

namespace phial::capi {

// Beside the running program, else in bin/ (a wheel), ../bin/ or ../../bin/ (lib/ or lib/TRIPLET/ of a prefix) of the
// folder where this library lies. Empty if it is in none.
std::string find_reader();

}  // namespace phial::capi
