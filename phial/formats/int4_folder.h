// AWQ and GPTQ in Hugging Face folders: NAME.qweight, NAME.qzeros, NAME.scales and NAME.g_idx stand for NAME.weight.
#pragma once

#include <vector>

#include "phial/base/json.h"
#include "phial/base/result.h"
#include "phial/formats/checkpoint.h"

namespace phial::formats {

// Replaces the parts of every quantized matrix by one tensor NAME.weight of type kInt4 and shape [outputs, inputs], if
// the "quantization_config" of config.json says AWQ or GPTQ. Other methods are left to whoever builds the network.
// kUnsupported names a variant that Phial does not read, kCorrupt the tensor that does not fit its matrix.
Status join_int4(const Json& config, std::vector<Tensor>& tensors);

}  // namespace phial::formats
