#include "phial/spec/spec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "phial/spec/rope.h"
#include "phial/spec/variants.h"

namespace phial::spec {
namespace {

using testing::HasSubstr;

Json tiny_config() {
  return *parse_json(R"({"model_type": "phi3", "hidden_size": 64, "intermediate_size": 160, "num_attention_heads": 4,
    "num_hidden_layers": 3, "num_key_value_heads": 2, "max_position_embeddings": 128, "rms_norm_eps": 1e-5,
    "original_max_position_embeddings": 32, "sliding_window": 7, "vocab_size": 384, "rope_theta": 10000.0})");
}

Json tiny_gguf() {
  return *parse_json(R"({"general.architecture": "llama", "llama.block_count": 3, "llama.embedding_length": 64,
    "llama.feed_forward_length": 160, "llama.attention.head_count": 4, "llama.attention.head_count_kv": 2,
    "llama.context_length": 256, "llama.attention.layer_norm_rms_epsilon": 1e-5, "llama.vocab_size": 384})");
}

Json eight(float first) {
  Json list = Json::array();
  for (int i = 0; i < 8; ++i) list.push_back(first + static_cast<float>(i));
  return list;
}

std::string error_of(const Json& config) {
  const auto spec = decoder_from_config(config);
  return spec ? "no error" : spec.error().text();
}

TEST(Spec, ReadsPhi3FromItsConfig) {
  const auto spec = decoder_from_config(tiny_config());
  ASSERT_TRUE(spec) << spec.error().text();
  EXPECT_EQ(spec->architecture, "phi3");
  EXPECT_EQ(spec->head_dim, 16);
  EXPECT_EQ(spec->rope_dims, 16);
  EXPECT_EQ(spec->sliding_window, 7);
  EXPECT_FALSE(spec->long_rope.active());
  EXPECT_FALSE(spec->has_attention_bias);
}

TEST(Spec, AMistralThatDoesNotNameItsWindowHasTheReferencesDefault) {
  Json config = tiny_config();
  config["model_type"] = "mistral";
  EXPECT_EQ(decoder_from_config(config)->sliding_window, 7);
  config["sliding_window"] = nullptr;
  EXPECT_EQ(decoder_from_config(config)->sliding_window, 0);
  config.erase("sliding_window");
  EXPECT_EQ(decoder_from_config(config)->sliding_window, 4096);
  config["model_type"] = "phi3";
  EXPECT_EQ(decoder_from_config(config)->sliding_window, 0);
}

TEST(Spec, LongRopeHasItsAttentionFactorFromTheTwoContexts) {
  for (const char* type : {"su", "longrope"}) {
    Json config = tiny_config();
    config["rope_scaling"] = {{"type", type}, {"short_factor", eight(1)}, {"long_factor", eight(2)}};
    const auto spec = decoder_from_config(config);
    ASSERT_TRUE(spec) << spec.error().text();
    EXPECT_EQ(spec->long_rope.original_context, 32);
    EXPECT_FLOAT_EQ(spec->long_rope.long_attention_factor, std::sqrt(1 + std::log(4.0F) / std::log(32.0F)));
    EXPECT_EQ(spec->long_rope.long_factors[7], 9);
  }
}

TEST(Spec, NestedRotaryParametersAndExplicitFactorsOverride) {
  Json config = tiny_config();
  config.erase("original_max_position_embeddings");
  config["rope_parameters"] = {{"rope_type", "longrope"},
                               {"rope_theta", 5000.0},
                               {"short_factor", eight(1)},
                               {"long_factor", eight(2)},
                               {"short_mscale", 1.5},
                               {"attention_factor", 1.25},
                               {"original_max_position_embeddings", 64}};
  const auto spec = decoder_from_config(config);
  ASSERT_TRUE(spec) << spec.error().text();
  EXPECT_EQ(spec->rope_theta, 5000);
  EXPECT_EQ(spec->long_rope.original_context, 64);
  EXPECT_EQ(spec->long_rope.short_attention_factor, 1.5F);
  EXPECT_EQ(spec->long_rope.long_attention_factor, 1.25F);
}

TEST(Spec, OldYarnFilesHaveTheirOwnAttentionFactor) {
  Json config = tiny_config();
  config["rope_scaling"] = {{"type", "yarn"}, {"short_factor", eight(1)}, {"long_factor", eight(2)}};
  const auto spec = decoder_from_config(config);
  ASSERT_TRUE(spec) << spec.error().text();
  EXPECT_FLOAT_EQ(spec->long_rope.long_attention_factor, 0.1F * std::log(4.0F) + 1);
}

TEST(Spec, WhatItDoesNotRunIsRefusedByName) {
  Json config = tiny_config();
  config["model_type"] = "phi5";
  EXPECT_THAT(error_of(config), HasSubstr("architecture 'phi5'"));
  config = tiny_config();
  config["rope_scaling"] = {{"type", "dynamic"}, {"factor", 2.0}};
  EXPECT_THAT(error_of(config), HasSubstr("rotary scaling 'dynamic'"));
  config = tiny_config();
  config["hidden_act"] = "relu2";
  EXPECT_THAT(error_of(config), HasSubstr("activation 'relu2'"));
  config = tiny_config();
  config["quantization_config"] = {{"quant_method", "bitsandbytes"}};
  EXPECT_THAT(error_of(config), HasSubstr("'bitsandbytes'"));
  Json gguf = tiny_gguf();
  gguf["general.architecture"] = "gemma2";
  EXPECT_THAT(decoder_from_gguf(gguf).error().message, HasSubstr("'gemma2'"));
  gguf = tiny_gguf();
  gguf["llama.expert_count"] = 8;
  EXPECT_THAT(decoder_from_gguf(gguf).error().message, HasSubstr("8 experts"));
}

TEST(Spec, ImpossibleSizesAreErrorsInWords) {
  Json config = tiny_config();
  config["num_key_value_heads"] = 3;
  EXPECT_THAT(error_of(config), HasSubstr("phi3: 4 heads cannot share 3 key-value heads evenly"));
  for (const char* key : {"hidden_size", "num_hidden_layers", "vocab_size", "num_attention_heads"}) {
    for (const Json& value : {Json(0), Json(-4), Json(1e300), Json("64"), Json(), Json(int64_t{1} << 60)}) {
      config = tiny_config();
      config[key] = value;
      EXPECT_THAT(error_of(config), HasSubstr(key)) << value;
    }
  }
  config = tiny_config();
  config["rope_scaling"] = {{"type", "longrope"}, {"short_factor", eight(1)}, {"long_factor", {1.0, 2.0}}};
  EXPECT_THAT(error_of(config), HasSubstr("2 long rotary factors, wanted 8"));
  config["rope_scaling"]["long_factor"] = "eight";
  EXPECT_THAT(error_of(config), HasSubstr("a list of positive numbers"));
  EXPECT_FALSE(decoder_from_config(Json::array()));
  EXPECT_FALSE(decoder_from_gguf(Json()));
}

TEST(Spec, QwenSlidesOnlyWhereAllItsLayersDo) {
  Json config = tiny_config();
  config["model_type"] = "qwen2";
  auto spec = decoder_from_config(config);
  ASSERT_TRUE(spec) << spec.error().text();
  EXPECT_EQ(spec->sliding_window, 0);
  EXPECT_TRUE(spec->has_attention_bias);
  config["use_sliding_window"] = true;
  config["max_window_layers"] = 0;
  EXPECT_EQ(decoder_from_config(config)->sliding_window, 7);
  config["max_window_layers"] = 1;
  EXPECT_THAT(error_of(config), HasSubstr("only 2 of 3 layers"));
}

Json tiny_small() {
  return *parse_json(R"({"model_type": "phi3small", "hidden_size": 64, "ff_intermediate_size": 160, "vocab_size": 40,
    "num_attention_heads": 4, "num_hidden_layers": 3, "num_key_value_heads": 2, "max_position_embeddings": 128,
    "rope_embedding_base": 1000000, "gegelu_limit": 20.0, "mup_embedding_multiplier": 10.0, "mup_width_multiplier": 8.0,
    "mup_attn_multiplier": 2.0, "blocksparse_block_size": 8, "blocksparse_num_local_blocks": 2,
    "blocksparse_vert_stride": 3, "dense_attention_every_n_layers": 2, "dummy_token_indices": [7, 3, 3]})");
}

TEST(Spec, ReadsSmallFromItsConfig) {
  const auto spec = decoder_from_config(tiny_small());
  ASSERT_TRUE(spec) << spec.error().text();
  EXPECT_EQ(spec->ffn_dim, 160);
  EXPECT_EQ(spec->norm, NormKind::kLayer);
  EXPECT_EQ(spec->activation, Activation::kGeGelu);
  EXPECT_EQ(spec->gegelu_limit, 20);
  EXPECT_EQ(spec->rope_theta, 1e6F);
  EXPECT_EQ(spec->embedding_multiplier, 10);
  EXPECT_EQ(spec->logit_divisor, 8);
  EXPECT_EQ(attention_scale(*spec), 2.0F / 16);
  EXPECT_EQ(spec->masked_ids, (std::vector<int32_t>{3, 7}));
  EXPECT_TRUE(spec->has_attention_bias && spec->has_output_bias && spec->has_ffn_bias && spec->tied_output);
  EXPECT_TRUE(spec->block_sparse.is_sparse(0) && !spec->block_sparse.is_sparse(1) && spec->block_sparse.is_sparse(2));
}

TEST(Spec, SmallMayDoWithoutItsMultipliers) {
  Json config = tiny_small();
  config["mup_use_scaling"] = false;
  for (const char* name : {"mup_embedding_multiplier", "mup_width_multiplier", "gegelu_limit", "dummy_token_indices"}) {
    config[name] = nullptr;
  }
  config["dense_attention_every_n_layers"] = nullptr;
  const auto spec = decoder_from_config(config);
  ASSERT_TRUE(spec) << spec.error().text();
  EXPECT_EQ(attention_scale(*spec), 0.25F);
  EXPECT_EQ(spec->embedding_multiplier * spec->logit_divisor, 1);
  EXPECT_EQ(spec->gegelu_limit, 0);
  EXPECT_TRUE(spec->block_sparse.is_sparse(1));
}

TEST(Spec, SmallStretchesItsPositionsByFactorsOfEachTable) {
  Json config = tiny_small();
  config["rope_position_scale"] = 4.0;
  EXPECT_EQ(decoder_from_config(config)->rope_divisors, std::vector<float>(8, 4));
  config["rope_scaling"] = {
      {"type", "su"},        {"short_factor", eight(1)}, {"long_factor", eight(2)},
      {"short_mscale", 1.5}, {"long_mscale", 1.25},      {"original_max_position_embeddings", 32}};
  const auto spec = decoder_from_config(config);
  ASSERT_TRUE(spec) << spec.error().text();
  EXPECT_EQ(spec->long_rope.short_attention_factor, 1.5F);
  EXPECT_EQ(spec->long_rope.long_attention_factor, 1.25F);
  EXPECT_EQ(spec->long_rope.long_factors[0], 8);
  EXPECT_TRUE(spec->rope_divisors.empty());
}

TEST(Spec, SmallWithAPatternThatCannotBeIsRefusedByName) {
  const std::pair<const char*, Json> wrong[] = {{"blocksparse_block_size", 0},
                                                {"blocksparse_vert_stride", 0},
                                                {"blocksparse_num_local_blocks", 0},
                                                {"blocksparse_vert_stride", "8"},
                                                {"dense_attention_every_n_layers", -1},
                                                {"dummy_token_indices", {40}},
                                                {"dummy_token_indices", {-1}},
                                                {"mup_width_multiplier", 0},
                                                {"gegelu_limit", -1.0},
                                                {"blocksparse_block_size", nullptr},
                                                {"ff_intermediate_size", nullptr}};
  for (const auto& [field, value] : wrong) {
    Json config = tiny_small();
    config[field] = value;
    EXPECT_THAT(error_of(config), HasSubstr(std::string("'") + field + "'"));
  }
  Json config = tiny_small();
  config["num_key_value_heads"] = 3;
  EXPECT_THAT(error_of(config), HasSubstr("4 heads cannot share 3"));
  config = tiny_small();
  config["hidden_act"] = "silu";
  EXPECT_THAT(error_of(config), HasSubstr("activation 'silu'"));
  config = tiny_small();
  config["hidden_size"] = 2 * 80;
  config["num_attention_heads"] = 80;
  config["num_key_value_heads"] = 1;
  EXPECT_THAT(error_of(config), HasSubstr("with 80 heads a key-value head"));
  config = tiny_small();
  config["blocksparse_block_size"] = 1;
  config["max_position_embeddings"] = 1 << 26;
  EXPECT_THAT(error_of(config), HasSubstr("block-sparse attention over 67108865 blocks"));
}

TEST(Spec, ReadsLlamaFromGguf) {
  const auto spec = decoder_from_gguf(tiny_gguf());
  ASSERT_TRUE(spec) << spec.error().text();
  EXPECT_EQ(spec->head_dim, 16);
  EXPECT_TRUE(spec->rotary_pairs_adjacent);
  EXPECT_EQ(spec->vocab_size, 384);
}

TEST(Spec, PublishedVariantsHaveTheirParameterCounts) {
  for (const DecoderSpec& spec : variants()) {
    EXPECT_TRUE(validate(spec)) << spec.name;
    const uint64_t wanted = spec.hidden_dim == 3072   ? 3'821'079'552U
                            : spec.hidden_dim == 4096 ? 7'392'272'384U
                                                      : 13'960'238'080U;
    EXPECT_EQ(parameters(spec), wanted) << spec.name;
  }
  EXPECT_FLOAT_EQ(variants()[1].long_rope.long_attention_factor, 1.1902380714F);
}

TEST(Rope, TableIsChosenByTheLengthOfTheSequence) {
  DecoderSpec spec = variants()[1];
  EXPECT_EQ(choose_rope_table(spec, RopePolicy::kDynamic, 100000), RopeTable::kShort);  // no factors, nothing to choose
  spec.long_rope.short_factors.assign(48, 1);
  spec.long_rope.long_factors.assign(48, 2);
  EXPECT_EQ(choose_rope_table(spec, RopePolicy::kDynamic, 4096), RopeTable::kShort);
  EXPECT_EQ(choose_rope_table(spec, RopePolicy::kDynamic, 4097), RopeTable::kLong);
  EXPECT_EQ(choose_rope_table(spec, RopePolicy::kAlwaysLong, 1), RopeTable::kLong);
  EXPECT_EQ(rotary_table(spec, RopeTable::kLong).frequencies[0], 0.5F);
  EXPECT_FLOAT_EQ(rotary_table(spec, RopeTable::kLong).attention_factor, 1.1902380714F);
}

TEST(Rope, Llama3KeepsHighFrequenciesAndDividesLowOnes) {
  const auto divisors = llama3_divisors(64, 500000, 8, 1, 4, 8192);
  EXPECT_EQ(divisors.front(), 1);
  EXPECT_FLOAT_EQ(divisors.back(), 8);
  for (size_t i = 1; i < divisors.size(); ++i) EXPECT_GE(divisors[i], divisors[i - 1]);
}

TEST(EncoderSpec, ReadsWhatSentenceTransformersKeepsBesideIt) {
  const Json config = *parse_json(R"({"model_type": "bert", "hidden_size": 384, "intermediate_size": 1536,
    "num_attention_heads": 12, "num_hidden_layers": 6, "vocab_size": 30522, "max_position_embeddings": 512})");
  EXPECT_EQ(encoder_from_config(config)->max_tokens, 512);
  const Json longest = {{"max_seq_length", 256}};
  const Json cls = {{"pooling_mode_cls_token", true}, {"pooling_mode_mean_tokens", false}};
  const auto spec = encoder_from_configs(config, {.sentence_bert = longest, .pooling = cls});
  ASSERT_TRUE(spec) << spec.error().text();
  EXPECT_EQ(spec->max_tokens, 256);
  EXPECT_EQ(spec->pooling, EncoderSpec::Pooling::kCls);
  // Version 6 leaves the length to the tokenizer; where both speak, the former counts.
  const Json words = {{"model_max_length", 64}}, boundless = {{"model_max_length", 1e30}};
  EXPECT_EQ(encoder_from_configs(config, {.sentence_bert = Json::object(), .tokenizer_config = words})->max_tokens, 64);
  EXPECT_EQ(encoder_from_configs(config, {.sentence_bert = longest, .tokenizer_config = words})->max_tokens, 256);
  EXPECT_EQ(encoder_from_configs(config, {.tokenizer_config = boundless})->max_tokens, 512);
  const Json max = {{"pooling_mode_max_tokens", true}};
  EXPECT_THAT(encoder_from_configs(config, {.pooling = max}).error().message, HasSubstr("pooling_mode_max_tokens"));
}

}  // namespace
}  // namespace phial::spec
