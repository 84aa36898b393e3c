// What the layers of transformer encoders are made of, bound to a checkpoint: BERT's and CLIP's differ in where the
// norms stand and in names. Used inside model only.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "phial/base/result.h"
#include "phial/formats/checkpoint.h"
#include "phial/model/decoder.h"
#include "phial/model/matrix.h"
#include "phial/model/tensor_finder.h"

namespace phial::model {

struct LayerNorm {
  std::vector<float> gain, bias;
};

struct EncoderLayer {
  Linear qkv, output, up, down;
  std::vector<float> qkv_bias, output_bias, up_bias, down_bias;
  LayerNorm attention_norm, ffn_norm;
};

class EncoderParts {
 public:
  EncoderParts(const formats::Checkpoint& checkpoint, Precision precision, ThreadPool& pool,
               const formats::LoraAdapter* adapter = nullptr)
      : checkpoint_(checkpoint), precision_(precision), pool_(pool), find_(checkpoint, adapter) {}

  TensorFinder& find() { return find_; }
  // NAME.weight and NAME.bias.
  Result<LayerNorm> norm(const std::string& name, uint64_t size);
  // Packs one matrix, and its bias, behind those that are there.
  Status append(const std::string& name, uint64_t rows, uint64_t cols, Linear& linear, std::vector<float>& bias);
  // The same of a matrix without a bias, in a layout of the caller's choice.
  Status append(const StoredRows& stored, const std::string& name, Layout layout, Linear& linear);

 private:
  const formats::Checkpoint& checkpoint_;
  Precision precision_;
  ThreadPool& pool_;
  TensorFinder find_;
};

}  // namespace phial::model
