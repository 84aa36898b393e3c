// Where the program phial-reader is, if nobody says.
#pragma once

#include <string>

namespace phial::capi {

// Beside the running program, else where `make install` puts it: ../bin from the folder of this library. Empty if it is
// in neither.
std::string find_reader();

}  // namespace phial::capi
