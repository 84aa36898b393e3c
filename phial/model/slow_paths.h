// Where a model runs slower than its size would let it, for want of a kernel: told, never silent.
#pragma once

#include <vector>

#include "phial/kernels/kernels.h"
#include "phial/model/decoder.h"
#include "phial/model/decoder_weights.h"

namespace phial::model {

// One entry a cause: the kernels themselves, then one a type of weights that has no layout of its own. Nothing: every
// matrix is read in about as many bytes as it is stored in, by the kernels of an instruction set.
std::vector<SlowPath> slow_paths(const DecoderTensors& tensors, Precision precision, const kernels::KernelSet& kernels);

}  // namespace phial::model
