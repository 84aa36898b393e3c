// A checkpoint's tensors bound to the places of a BERT-like encoder. Used inside model only.
#pragma once

#include <vector>

#include "phial/base/result.h"
#include "phial/formats/checkpoint.h"
#include "phial/model/decoder.h"
#include "phial/model/encoder_parts.h"
#include "phial/model/matrix.h"
#include "phial/spec/spec.h"

namespace phial::model {

struct EncoderWeights {
  StoredRows words, positions;
  std::vector<float> token_type;  // type 0; empty: none
  LayerNorm embedding_norm;
  std::vector<EncoderLayer> layers;
};

Result<EncoderWeights> load_encoder_weights(const formats::Checkpoint& checkpoint, const spec::EncoderSpec& spec,
                                            Precision precision, ThreadPool& pool);

}  // namespace phial::model
