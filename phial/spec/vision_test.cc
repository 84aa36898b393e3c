#include "phial/spec/vision.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "phial/spec/spec.h"

namespace phial::spec {
namespace {

using testing::HasSubstr;

// As published: CLIP's sizes are not in it.
Json published() {
  return {{"model_type", "phi3_v"},
          {"architectures", {"Phi3VForCausalLM"}},
          {"embd_layer",
           {{"embedding_cls", "image"},
            {"hd_transform_order", "sub_glb"},
            {"projection_cls", "mlp"},
            {"use_hd_transform", true},
            {"with_learnable_separator", true}}},
          {"img_processor",
           {{"image_dim_out", 1024},
            {"model_name", "openai/clip-vit-large-patch14-336"},
            {"name", "clip_vision_model"},
            {"num_img_tokens", 144}}}};
}

std::string why_not(const Json& config, const Json& preprocessor = nullptr) {
  const auto facts = vision_from_config(config, preprocessor);
  return facts ? "it is read" : facts.error().text();
}

TEST(Vision, ThePublishedConfigurationLeavesTheRestToItsCode) {
  EXPECT_TRUE(has_vision(published()));
  EXPECT_FALSE(has_vision({{"model_type", "phi3"}}));
  EXPECT_TRUE(has_vision({{"architectures", {"Phi3VForCausalLM"}}}));
  const auto facts = vision_from_config(published(), nullptr);
  ASSERT_TRUE(facts) << facts.error().text();
  EXPECT_EQ(facts->n_heads, 0);
  EXPECT_EQ(facts->layer_index, -2);
  EXPECT_EQ(facts->max_tiles, 16);
  EXPECT_FLOAT_EQ(facts->mean[0], 0.48145466F);
}

TEST(Vision, WhatIsWrittenOutHolds) {
  Json config = published();
  config["vision_config"] = {{"num_attention_heads", 3}, {"layer_norm_eps", 1e-3}};
  config["img_processor"]["layer_idx"] = -1;
  const Json preprocessor = {{"num_crops", 6}, {"image_mean", {0.5, 0.25, 0.125}}, {"image_std", {1, 2, 4}}};
  const auto facts = vision_from_config(config, preprocessor);
  ASSERT_TRUE(facts) << facts.error().text();
  EXPECT_EQ(facts->n_heads, 3);
  EXPECT_FLOAT_EQ(facts->norm_eps, 1e-3F);
  EXPECT_EQ(facts->layer_index, -1);
  EXPECT_EQ(facts->max_tiles, 6);
  EXPECT_EQ(facts->mean[2], 0.125F);
  EXPECT_EQ(facts->deviation[1], 2);
}

TEST(Vision, WhatWouldChangeTheArithmeticIsRefusedByName) {
  const auto changed = [](const char* part, const char* key, const Json& value) {
    Json config = published();
    config[part][key] = value;
    return why_not(config);
  };
  EXPECT_THAT(changed("embd_layer", "hd_transform_order", "glb_sub"), HasSubstr("'glb_sub'"));
  EXPECT_THAT(changed("embd_layer", "use_hd_transform", false), HasSubstr("'use_hd_transform' is false"));
  EXPECT_THAT(changed("img_processor", "name", "siglip"), HasSubstr("'siglip'"));
  EXPECT_THAT(changed("img_processor", "type_feature", "cls_patch"), HasSubstr("'cls_patch'"));
  EXPECT_THAT(why_not(published(), {{"num_crops", 100000}}), HasSubstr("num_crops"));
  EXPECT_THAT(why_not(published(), {{"image_mean", {1, 2}}}), HasSubstr("three numbers"));
}

TEST(Vision, ATileThatPairsOfPatchesDoNotFillIsRefused) {
  VisionSpec spec = {
      .image_side = 336, .patch_side = 14, .n_layers = 1, .hidden_dim = 8, .ffn_dim = 8, .n_heads = 2, .output_dim = 8};
  EXPECT_TRUE(validate(spec));
  spec.image_side = 350;
  EXPECT_FALSE(validate(spec));
  spec.image_side = 336;
  spec.n_heads = 3;
  EXPECT_FALSE(validate(spec));
}

// What is written of an eye reads back as the same, over whatever the configuration said of another one.
TEST(Vision, AConfigurationThatIsWrittenReadsBackAsTheSame) {
  VisionSpec spec = {.image_side = 96,
                     .patch_side = 8,
                     .n_layers = 3,
                     .hidden_dim = 32,
                     .ffn_dim = 64,
                     .n_heads = 4,
                     .output_dim = 48,
                     .norm_eps = 1e-6F,
                     .max_tiles = 5,
                     .mean = {0.5F, 0.4F, 0.3F},
                     .deviation = {0.1F, 0.2F, 0.3F}};
  Json before = published();
  before["vision_config_of_another"] = {{"hidden_size", 7}};
  const Json config = config_with_vision(before, spec);
  EXPECT_TRUE(has_vision(config));
  const auto read = vision_of_config(config, preprocessor_of(spec), 48);
  ASSERT_TRUE(read) << read.error().text();
  EXPECT_EQ(read->image_side, 96);
  EXPECT_EQ(read->patch_side, 8);
  EXPECT_EQ(read->n_layers, 3);
  EXPECT_EQ(read->hidden_dim, 32);
  EXPECT_EQ(read->ffn_dim, 64);
  EXPECT_EQ(read->n_heads, 4);
  EXPECT_EQ(read->norm_eps, spec.norm_eps);
  EXPECT_EQ(read->max_tiles, 5);
  EXPECT_EQ(read->mean, spec.mean);
  EXPECT_EQ(read->deviation, spec.deviation);
  EXPECT_FALSE(vision_of_config(published(), nullptr, 48));  // CLIP's sizes are not in it
}

}  // namespace
}  // namespace phial::spec
