// The set that every machine runs: plain loops, and the meaning of the others.
#pragma once

#include "phial/kernels/kernels.h"

namespace phial::kernels {

extern constinit const KernelSet kScalar;

}  // namespace phial::kernels
