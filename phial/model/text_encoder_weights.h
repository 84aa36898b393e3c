// A checkpoint's tensors bound to the places of a BERT-like encoder. Used inside model only.
#pragma once

#include <string>
#include <vector>

#include "phial/base/result.h"
#include "phial/formats/checkpoint.h"
#include "phial/formats/lora.h"
#include "phial/model/decoder.h"
#include "phial/model/encoder_parts.h"
#include "phial/model/matrix.h"
#include "phial/spec/spec.h"

namespace phial::model {

struct EncoderWeights {
  StoredRows words, positions;
  std::vector<float> token_types;  // [types, hidden]; empty: none
  LayerNorm embedding_norm;
  std::vector<EncoderLayer> layers;
};

// What stands before the names of its tensors: "bert.", "roberta." or nothing.
std::string encoder_root(const formats::Checkpoint& checkpoint);

// With `adapter`: its low ranks are added while packing. kInvalid if it has one that belongs to no matrix of a layer.
Result<EncoderWeights> load_encoder_weights(const formats::Checkpoint& checkpoint, const formats::LoraAdapter* adapter,
                                            const spec::EncoderSpec& spec, Precision precision, ThreadPool& pool);

}  // namespace phial::model
