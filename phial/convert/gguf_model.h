// A decoder as the entries and tensors of a GGUF file, whichever way it is stored: what is written by convert_model,
// and with other types by the quantizer.
#pragma once

#include <vector>

#include "phial/base/json.h"
#include "phial/base/result.h"
#include "phial/formats/checkpoint.h"
#include "phial/formats/new_tensor.h"
#include "phial/model/decoder_weights.h"
#include "phial/spec/spec.h"

namespace phial::convert {

// The new tensors refer to the checkpoint's bytes and to the vectors of `spec` and `bound`, which keep their places
// when the whole is moved.
struct GgufModel {
  spec::DecoderSpec spec;
  model::DecoderTensors bound;
  Json metadata;  // of a GGUF file: its own
  std::vector<formats::NewTensor> tensors;
};

// Of a model that sees, the decoder: its eye is a file of its own. Errors: those of opening a decoder; kUnsupported
// names what GGUF cannot express.
Result<GgufModel> as_gguf(const formats::Checkpoint& checkpoint);

}  // namespace phial::convert
