#include "phial/spec/vision.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "phial/spec/spec.h"
#include "phial/spec/vision_tensors.h"

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
  EXPECT_THAT(changed("img_processor", "name", "sig\nlip"), HasSubstr("'sig\\x0alip'"));
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

// As Phial writes it.
VisionSpec some_eye() {
  VisionSpec spec;
  spec.image_side = 336;
  spec.patch_side = 14;
  spec.n_layers = 23;
  spec.hidden_dim = 1024;
  spec.ffn_dim = 4096;
  spec.n_heads = 16;
  spec.output_dim = 3072;
  spec.norm_eps = 1e-4F;
  spec.max_tiles = 12;
  spec.mean = {0.5F, 0.25F, 0.125F};
  spec.deviation = {1, 2, 4};
  return spec;
}

TEST(Vision, AProjectorFileSaysAllOfTheEye) {
  const VisionSpec wanted = some_eye();
  Json metadata = gguf_of_vision(wanted);
  metadata["general.architecture"] = "clip";
  EXPECT_TRUE(is_projector(metadata));
  EXPECT_FALSE(is_projector({{"general.architecture", "phi3"}}));
  const auto read = vision_from_gguf(metadata, 3072);
  ASSERT_TRUE(read) << read.error().text();
  EXPECT_EQ(gguf_of_vision(*read), gguf_of_vision(wanted));
}

TEST(Vision, OtherProjectorsAreRefusedByWhatTheyLack) {
  const auto reason = [](const char* key, const Json& value, int width = 3072) {
    Json metadata = gguf_of_vision(some_eye());
    if (value.is_null()) {
      metadata.erase(key);
    } else {
      metadata[key] = value;
    }
    const auto read = vision_from_gguf(metadata, width);
    return read ? "it is read" : read.error().text();
  };
  EXPECT_THAT(reason("clip.projector_type", "mlp"), HasSubstr("'clip.projector_type' is 'mlp'"));
  EXPECT_THAT(reason("clip.projector_type", nullptr), HasSubstr("convert the Hugging Face folder"));
  EXPECT_THAT(reason("clip.use_gelu", true), HasSubstr("activation"));
  EXPECT_THAT(reason("clip.vision.preproc_max_tiles", nullptr), HasSubstr("clip.vision.preproc_max_tiles"));
  EXPECT_THAT(reason("clip.vision.preproc_max_tiles", 1000000), HasSubstr("1000000"));
  EXPECT_THAT(reason("clip.projector_type", "ml\np"), HasSubstr("'clip.projector_type' is 'ml\\x0ap'"));
  EXPECT_THAT(reason("clip.vision.block_count", 0), HasSubstr("clip.vision.block_count"));
  EXPECT_THAT(reason("clip.vision.image_size", 350), HasSubstr("cannot be cut"));
  EXPECT_THAT(reason("clip.vision.attention.head_count", 7), HasSubstr("7 heads"));
  EXPECT_THAT(reason("clip.vision.image_std", {1, 0, 1}), HasSubstr("clip.vision.image_std"));
  EXPECT_THAT(reason("clip.vision.image_mean", {0.5, 0.5}), HasSubstr("three numbers"));
  EXPECT_THAT(reason("clip.use_gelu", false, 64), HasSubstr("for models of width 3072, this one's is 64"));
}

TEST(Vision, EveryTensorHasANameOfItsOwnInGguf) {
  std::set<std::string> names;
  for (const VisionTensor& tensor : vision_tensors(some_eye())) {
    const std::string name = gguf_vision_name(tensor.name);
    EXPECT_TRUE(names.insert(name).second) << name;
    EXPECT_TRUE(name.starts_with("v.") || name.starts_with("mm.")) << name;
  }
  for (const char* name : {"v.class_embd", "v.patch_embd.weight", "v.position_embd.weight", "v.pre_ln.weight",
                           "v.pre_ln.bias", "v.blk.22.ln1.weight", "v.blk.22.attn_q.bias", "v.blk.0.attn_out.weight",
                           "v.blk.0.ffn_up.weight", "v.blk.0.ffn_down.bias", "v.blk.0.ln2.bias", "mm.0.weight",
                           "mm.2.bias", "v.image_newline", "v.view_seperator"}) {
    EXPECT_TRUE(names.contains(name)) << name;
  }
}

}  // namespace
}  // namespace phial::spec
