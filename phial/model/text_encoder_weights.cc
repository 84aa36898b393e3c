#include "phial/model/text_encoder_weights.h"

#include <string>
#include <utility>

#include "phial/model/tensor_finder.h"
#include "phial/tensor/blocks.h"

namespace phial::model {
namespace {

class EncoderBinder {
 public:
  EncoderBinder(const formats::Checkpoint& checkpoint, const spec::EncoderSpec& spec, Precision precision,
                ThreadPool& pool)
      : checkpoint_(checkpoint),
        spec_(spec),
        precision_(precision),
        pool_(pool),
        find_(checkpoint),
        hidden_(static_cast<uint64_t>(spec.hidden_dim)),
        ffn_(static_cast<uint64_t>(spec.ffn_dim)) {
    for (const char* root : {"bert.", "roberta.", ""}) {
      root_ = root;
      if (find_.has(root_ + "embeddings.word_embeddings.weight")) break;
    }
  }

  Result<EncoderWeights> run() {
    EncoderWeights out;
    const std::string place = root_ + "embeddings.";
    PHIAL_TRY(out.words,
              find_.matrix(place + "word_embeddings.weight", static_cast<uint64_t>(spec_.vocab_size), hidden_));
    PHIAL_TRY(out.positions,
              find_.matrix(place + "position_embeddings.weight", static_cast<uint64_t>(spec_.max_positions), hidden_));
    if (spec_.token_types > 0) {
      PHIAL_TRY(const StoredRows types, find_.matrix(place + "token_type_embeddings.weight",
                                                     static_cast<uint64_t>(spec_.token_types), hidden_));
      out.token_type.resize(hidden_);
      types.decode(0, 0, out.token_type);
    }
    PHIAL_CHECKED(hold(checkpoint_, out.words));
    PHIAL_CHECKED(hold(checkpoint_, out.positions));
    PHIAL_TRY(out.embedding_norm, norm(place + "LayerNorm"));
    for (int i = 0; i < spec_.n_layers; ++i) {
      PHIAL_TRY(EncoderWeights::Layer one, layer(root_ + "encoder.layer." + std::to_string(i) + "."));
      out.layers.push_back(std::move(one));
    }
    return out;
  }

 private:
  Result<LayerNorm> norm(const std::string& name) {
    LayerNorm out;
    PHIAL_TRY(out.gain, find_.vector(name + ".weight", hidden_));
    PHIAL_TRY(out.bias, find_.vector(name + ".bias", hidden_));
    return out;
  }

  // Appends one matrix and its bias.
  Status append(const std::string& name, uint64_t rows, uint64_t cols, Linear& linear, std::vector<float>& bias) {
    PHIAL_TRY(const StoredRows stored, find_.matrix(name + ".weight", rows, cols));
    PHIAL_TRY(const std::vector<float> own, find_.vector(name + ".bias", rows));
    const Layout layout = precision_ == Precision::kFast ? fast_layout(stored) : Layout::kF32;
    PHIAL_CHECKED(hold(checkpoint_, stored));
    auto matrix = Matrix::make(stored, layout, pool_);
    if (!matrix) return std::move(matrix).error().in(name);
    linear.append(*std::move(matrix));
    release(checkpoint_, stored);
    bias.insert(bias.end(), own.begin(), own.end());
    return ok();
  }

  Result<EncoderWeights::Layer> layer(const std::string& prefix) {
    EncoderWeights::Layer out;
    for (const char* part : {"query", "key", "value"}) {
      PHIAL_CHECKED(append(prefix + "attention.self." + part, hidden_, hidden_, out.qkv, out.qkv_bias));
    }
    PHIAL_CHECKED(append(prefix + "attention.output.dense", hidden_, hidden_, out.output, out.output_bias));
    PHIAL_CHECKED(append(prefix + "intermediate.dense", ffn_, hidden_, out.up, out.up_bias));
    PHIAL_CHECKED(append(prefix + "output.dense", hidden_, ffn_, out.down, out.down_bias));
    PHIAL_TRY(out.attention_norm, norm(prefix + "attention.output.LayerNorm"));
    PHIAL_TRY(out.ffn_norm, norm(prefix + "output.LayerNorm"));
    return out;
  }

  const formats::Checkpoint& checkpoint_;
  const spec::EncoderSpec& spec_;
  Precision precision_;
  ThreadPool& pool_;
  TensorFinder find_;
  uint64_t hidden_, ffn_;
  std::string root_;
};

}  // namespace

Result<EncoderWeights> load_encoder_weights(const formats::Checkpoint& checkpoint, const spec::EncoderSpec& spec,
                                            Precision precision, ThreadPool& pool) {
  return EncoderBinder(checkpoint, spec, precision, pool).run();
}

}  // namespace phial::model
