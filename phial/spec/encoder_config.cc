// config.json of BERT-like encoders, and what sentence-transformers keeps beside it -> EncoderSpec.

#include <algorithm>

#include "phial/spec/fields.h"
#include "phial/spec/spec.h"

namespace phial::spec {
namespace {

Error unsupported_encoder(const std::string& what) {
  return Error{Code::kUnsupported, what, "use an embedding model of the bert, roberta or xlm-roberta architecture"};
}

Status read_pooling(const Json& pooling, EncoderSpec& spec) {
  const Fields fields(pooling, "", "1_Pooling/config.json");
  static constexpr const char* kOthers[] = {"pooling_mode_max_tokens", "pooling_mode_mean_sqrt_len_tokens",
                                            "pooling_mode_weightedmean_tokens", "pooling_mode_lasttoken"};
  for (const char* other : kOthers) {
    PHIAL_TRY(const bool used, fields.flag_or(other, false));
    if (used) return unsupported_encoder(std::string("1_Pooling/config.json: '") + other + "' is not supported");
  }
  PHIAL_TRY(std::string mode, fields.text_or("pooling_mode", ""));  // newer files name one mode
  PHIAL_TRY(const bool cls, fields.flag_or("pooling_mode_cls_token", mode == "cls"));
  PHIAL_TRY(const bool mean, fields.flag_or("pooling_mode_mean_tokens", mode == "mean"));
  if (cls == mean)
    return unsupported_encoder("1_Pooling/config.json: wanted the mean of the tokens or the first token");
  spec.pooling = cls ? EncoderSpec::Pooling::kCls : EncoderSpec::Pooling::kMean;
  return ok();
}

Result<EncoderSpec> read_encoder(const Json& config) {
  const Fields fields(config, "", "config.json");
  EncoderSpec spec;
  PHIAL_TRY(spec.name, fields.text_or("model_type", "bert"));
  const bool roberta = spec.name == "roberta" || spec.name == "xlm-roberta";
  if (spec.name != "bert" && !roberta) {
    return unsupported_encoder("config.json: architecture '" + spec.name + "' is not an encoder that Phial runs");
  }
  PHIAL_TRY(const std::string activation, fields.text_or("hidden_act", "gelu"));
  if (activation != "gelu") return unsupported_encoder("config.json: activation '" + activation + "' is not supported");
  PHIAL_TRY(const std::string positions, fields.text_or("position_embedding_type", "absolute"));
  if (positions != "absolute")
    return unsupported_encoder("config.json: '" + positions + "' positions are not supported");

  PHIAL_TRY(spec.n_layers, fields.count("num_hidden_layers", 1, kMaxLayers));
  PHIAL_TRY(spec.hidden_dim, fields.count("hidden_size", 1, kMaxWidth));
  PHIAL_TRY(spec.ffn_dim, fields.count("intermediate_size", 1, kMaxWidth));
  PHIAL_TRY(spec.n_heads, fields.count("num_attention_heads", 1, kMaxHeads));
  PHIAL_TRY(spec.vocab_size, fields.count("vocab_size", 1, kMaxVocab));
  PHIAL_TRY(spec.max_positions, fields.count("max_position_embeddings", 1, kMaxContext));
  PHIAL_TRY(spec.token_types, fields.count_or("type_vocab_size", 2, 0, kMaxVocab));
  PHIAL_TRY(spec.norm_eps, fields.positive_or("layer_norm_eps", 1e-12F));
  if (roberta) {
    PHIAL_TRY(const int padding, fields.count_or("pad_token_id", 1, 0, kMaxVocab));
    spec.first_position = padding + 1;
  }
  spec.max_tokens = spec.max_positions - spec.first_position;
  return spec;
}

}  // namespace

Result<EncoderSpec> encoder_from_config(const Json& config) { return encoder_from_configs(config, {}); }

Result<EncoderSpec> encoder_from_configs(const Json& config, const EncoderSideFiles& beside) {
  PHIAL_TRY(EncoderSpec spec, read_encoder(config));
  if (const Fields fields(beside.sentence_bert, "", "sentence_bert_config.json"); fields.has("max_seq_length")) {
    PHIAL_TRY(const int longest, fields.count("max_seq_length", 1, kMaxContext));
    spec.max_tokens = std::min(longest, spec.max_tokens);
  } else if (const auto most = find_number(beside.tokenizer_config, "model_max_length"); most && *most >= 1) {
    // A tokenizer that knows no bound says 1e30.
    if (*most < spec.max_tokens) spec.max_tokens = static_cast<int>(*most);
  }
  if (!beside.pooling.is_null()) PHIAL_CHECKED(read_pooling(beside.pooling, spec));
  PHIAL_CHECKED(validate(spec));
  return spec;
}

}  // namespace phial::spec
