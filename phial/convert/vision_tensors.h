// The tensors of an eye under the names of the other side. Used inside convert only.
#pragma once

#include <vector>

#include "phial/base/result.h"
#include "phial/formats/checkpoint.h"
#include "phial/formats/new_tensor.h"
#include "phial/spec/vision.h"

namespace phial::convert {

// `eye`: what it is stored in; the result refers to its bytes. `target`: what is written. kCorrupt names a tensor that
// is missing or misshapen, kUnsupported one whose type is none of weights.
Result<std::vector<formats::NewTensor>> vision_tensors(const formats::Checkpoint& eye, const spec::VisionSpec& spec,
                                                       formats::CheckpointKind target);

}  // namespace phial::convert
