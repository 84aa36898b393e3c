// The tensors of a decoder under the names and in the order of the other side. Used inside convert only.
#pragma once

#include <vector>

#include "phial/base/result.h"
#include "phial/formats/checkpoint.h"
#include "phial/formats/new_tensor.h"
#include "phial/model/decoder_weights.h"
#include "phial/spec/spec.h"

namespace phial::convert {

// `target`: what is written. The result refers to `tensors` and to the factors in `spec`, which stay where they are.
std::vector<formats::NewTensor> decoder_tensors(const model::DecoderTensors& tensors, const spec::DecoderSpec& spec,
                                                formats::CheckpointKind target);

}  // namespace phial::convert
