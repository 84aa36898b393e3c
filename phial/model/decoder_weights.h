// A checkpoint's tensors bound to the places of a decoder, by Hugging Face's names or GGUF's. Used inside model only.
//
// Two steps: bind() finds and checks every tensor and allocates nothing large; pack() turns them into matrices. The
// memory plan stands between them.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "phial/base/result.h"
#include "phial/formats/checkpoint.h"
#include "phial/model/decoder.h"
#include "phial/model/matrix.h"
#include "phial/spec/spec.h"

namespace phial::model {

using LinearSource = std::vector<StoredRows>;

struct Norm {
  std::vector<float> gain, bias;  // bias: of layer norms only
};

struct DecoderTensors {
  struct Layer {
    Norm attention_norm, ffn_norm;
    std::vector<float> qkv_bias, output_bias, gate_up_bias, down_bias;  // empty: none
    LinearSource qkv, output, gate_up, down;
  };
  StoredRows embedding;
  Norm final_norm;
  LinearSource head;
  std::vector<Layer> layers;
};

struct DecoderWeights {
  struct Layer {
    Norm attention_norm, ffn_norm;
    std::vector<float> qkv_bias, output_bias, gate_up_bias, down_bias;
    Linear qkv, output, gate_up, down;
  };
  StoredRows embedding;
  Norm final_norm;
  Linear head;
  std::vector<Layer> layers;
};

// How a Hugging Face folder of Phi-3-small stores q, k, v in one, and gate and up. In GGUF they stand as elsewhere.
RowOrder small_qkv_order(const spec::DecoderSpec& spec);
RowOrder small_gate_up_order(const spec::DecoderSpec& spec);

// Every shape checked; kCorrupt names a tensor that is missing or misshapen, kUnsupported one that has no place.
Result<DecoderTensors> bind(const formats::Checkpoint& checkpoint, const spec::DecoderSpec& spec);

// Every matrix that a token is multiplied with; a tied embedding counts, as the head.
void for_each_matrix(const DecoderTensors& tensors, const std::function<void(const StoredRows&)>& body);

// The layout that a matrix gets. Exact weights are unpacked to f32 where the whole model is small, else read in place.
Layout layout_for(const DecoderTensors& tensors, Precision precision, const StoredRows& matrix);

uint64_t packed_bytes(const DecoderTensors& tensors, Precision precision);
// Of a copied file's embedding, whose rows stay as they are stored; 0 where packed_bytes() has them already.
uint64_t held_embedding_bytes(const formats::Checkpoint& checkpoint, const spec::DecoderSpec& spec,
                              const DecoderTensors& tensors, Precision precision);

Result<DecoderWeights> pack(const formats::Checkpoint& checkpoint, DecoderTensors tensors, Precision precision,
                            ThreadPool& pool);

}  // namespace phial::model
