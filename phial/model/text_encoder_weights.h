// A checkpoint's tensors bound to the places of a BERT-like encoder. Used inside model only.
#pragma once

#include <vector>

#include "phial/base/result.h"
#include "phial/formats/checkpoint.h"
#include "phial/model/decoder.h"
#include "phial/model/matrix.h"
#include "phial/spec/spec.h"

namespace phial::model {

struct LayerNorm {
  std::vector<float> gain, bias;
};

struct EncoderWeights {
  struct Layer {
    Linear qkv, output, up, down;
    std::vector<float> qkv_bias, output_bias, up_bias, down_bias;
    LayerNorm attention_norm, ffn_norm;
  };
  StoredRows words, positions;
  std::vector<float> token_type;  // type 0; empty: none
  LayerNorm embedding_norm;
  std::vector<Layer> layers;
};

Result<EncoderWeights> load_encoder_weights(const formats::Checkpoint& checkpoint, const spec::EncoderSpec& spec,
                                            Precision precision, ThreadPool& pool);

}  // namespace phial::model
