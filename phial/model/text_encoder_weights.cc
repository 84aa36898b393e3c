#include "phial/model/text_encoder_weights.h"

#include <string>
#include <utility>

namespace phial::model {
namespace {

class EncoderBinder {
 public:
  EncoderBinder(const formats::Checkpoint& checkpoint, const spec::EncoderSpec& spec, Precision precision,
                ThreadPool& pool)
      : checkpoint_(checkpoint),
        spec_(spec),
        parts_(checkpoint, precision, pool),
        hidden_(static_cast<uint64_t>(spec.hidden_dim)),
        ffn_(static_cast<uint64_t>(spec.ffn_dim)) {
    for (const char* root : {"bert.", "roberta.", ""}) {
      root_ = root;
      if (parts_.find().has(root_ + "embeddings.word_embeddings.weight")) break;
    }
  }

  Result<EncoderWeights> run() {
    EncoderWeights out;
    const std::string place = root_ + "embeddings.";
    PHIAL_TRY(out.words,
              parts_.find().matrix(place + "word_embeddings.weight", static_cast<uint64_t>(spec_.vocab_size), hidden_));
    PHIAL_TRY(out.positions, parts_.find().matrix(place + "position_embeddings.weight",
                                                  static_cast<uint64_t>(spec_.max_positions), hidden_));
    if (spec_.token_types > 0) {
      PHIAL_TRY(const StoredRows types, parts_.find().matrix(place + "token_type_embeddings.weight",
                                                             static_cast<uint64_t>(spec_.token_types), hidden_));
      out.token_type.resize(hidden_);
      types.decode(0, 0, out.token_type);
    }
    PHIAL_CHECKED(hold(checkpoint_, out.words));
    PHIAL_CHECKED(hold(checkpoint_, out.positions));
    PHIAL_TRY(out.embedding_norm, parts_.norm(place + "LayerNorm", hidden_));
    for (int i = 0; i < spec_.n_layers; ++i) {
      PHIAL_TRY(EncoderLayer one, layer(root_ + "encoder.layer." + std::to_string(i) + "."));
      out.layers.push_back(std::move(one));
    }
    return out;
  }

 private:
  Result<EncoderLayer> layer(const std::string& prefix) {
    EncoderLayer out;
    for (const char* part : {"query", "key", "value"}) {
      PHIAL_CHECKED(parts_.append(prefix + "attention.self." + part, hidden_, hidden_, out.qkv, out.qkv_bias));
    }
    PHIAL_CHECKED(parts_.append(prefix + "attention.output.dense", hidden_, hidden_, out.output, out.output_bias));
    PHIAL_CHECKED(parts_.append(prefix + "intermediate.dense", ffn_, hidden_, out.up, out.up_bias));
    PHIAL_CHECKED(parts_.append(prefix + "output.dense", hidden_, ffn_, out.down, out.down_bias));
    PHIAL_TRY(out.attention_norm, parts_.norm(prefix + "attention.output.LayerNorm", hidden_));
    PHIAL_TRY(out.ffn_norm, parts_.norm(prefix + "output.LayerNorm", hidden_));
    return out;
  }

  const formats::Checkpoint& checkpoint_;
  const spec::EncoderSpec& spec_;
  EncoderParts parts_;
  uint64_t hidden_, ffn_;
  std::string root_;
};

}  // namespace

Result<EncoderWeights> load_encoder_weights(const formats::Checkpoint& checkpoint, const spec::EncoderSpec& spec,
                                            Precision precision, ThreadPool& pool) {
  return EncoderBinder(checkpoint, spec, precision, pool).run();
}

}  // namespace phial::model
