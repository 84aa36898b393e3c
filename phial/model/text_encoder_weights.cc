#include "phial/model/text_encoder_weights.h"

#include <span>
#include <string>
#include <utility>

namespace phial::model {
namespace {

class EncoderBinder {
 public:
  EncoderBinder(const formats::Checkpoint& checkpoint, const formats::LoraAdapter* adapter,
                const spec::EncoderSpec& spec, Precision precision, ThreadPool& pool)
      : checkpoint_(checkpoint),
        adapter_(adapter),
        spec_(spec),
        parts_(checkpoint, precision, pool, adapter),
        hidden_(static_cast<uint64_t>(spec.hidden_dim)),
        ffn_(static_cast<uint64_t>(spec.ffn_dim)),
        root_(encoder_root(checkpoint)) {}

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
      out.token_types.resize(types.rows * hidden_);
      for (size_t t = 0; t < types.rows; ++t) {
        types.decode(t, 0, std::span(out.token_types).subspan(t * hidden_, hidden_));
      }
    }
    PHIAL_CHECKED(hold(checkpoint_, out.words));
    PHIAL_CHECKED(hold(checkpoint_, out.positions));
    PHIAL_TRY(out.embedding_norm, parts_.norm(place + "LayerNorm", hidden_));
    for (int i = 0; i < spec_.n_layers; ++i) {
      PHIAL_TRY(EncoderLayer one, layer(root_ + "encoder.layer." + std::to_string(i) + "."));
      out.layers.push_back(std::move(one));
    }
    if (adapter_ == nullptr) return out;
    for (const auto& [name, low] : adapter_->added) {
      // Rows that ids look up are read where they are stored, as they are.
      if (name.starts_with(place) || !parts_.find().was_used(name)) {
        return Error{Code::kInvalid, adapter_->file.path().string() + ": '" + name + "' is no matrix of a layer",
                     "name the model that the adapter was trained on"};
      }
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
  const formats::LoraAdapter* adapter_;
  const spec::EncoderSpec& spec_;
  EncoderParts parts_;
  uint64_t hidden_, ffn_;
  std::string root_;
};

}  // namespace

std::string encoder_root(const formats::Checkpoint& checkpoint) {
  for (const char* root : {"bert.", "roberta."}) {
    if (checkpoint.find(std::string(root) + "embeddings.word_embeddings.weight") != nullptr) return root;
  }
  return "";
}

Result<EncoderWeights> load_encoder_weights(const formats::Checkpoint& checkpoint, const formats::LoraAdapter* adapter,
                                            const spec::EncoderSpec& spec, Precision precision, ThreadPool& pool) {
  return EncoderBinder(checkpoint, adapter, spec, precision, pool).run();
}

}  // namespace phial::model
