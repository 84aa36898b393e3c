#include "phial/spec/mup.h"

#include <gtest/gtest.h>

#include <cmath>

#include "phial/spec/variants.h"

namespace phial::spec {
namespace {

DecoderSpec wide() {
  DecoderSpec spec = variants()[0];
  spec.n_layers = 2;
  spec.hidden_dim = 512;
  spec.ffn_dim = 1024;
  spec.n_heads = 8;
  spec.n_kv_heads = 2;
  spec.head_dim = 64;
  return spec;
}
constexpr MupBase kBase = {.hidden_dim = 64, .ffn_dim = 256, .n_heads = 2, .head_dim = 32};
constexpr InitRule kFlat = {.sigma = 0.1, .by_depth = false};

TEST(Mup, HiddenMatricesBeginAndLearnByTheirOwnInputsWidth) {
  const TensorRule qkv = tensor_rule(wide(), kBase, kFlat, TensorRole::kQkv);  // 512 over 64
  EXPECT_DOUBLE_EQ(qkv.init_std, 0.1 / std::sqrt(8.0));
  EXPECT_DOUBLE_EQ(qkv.rate, 1.0 / 8);
  EXPECT_DOUBLE_EQ(qkv.decay, 8);
  const TensorRule down = tensor_rule(wide(), kBase, kFlat, TensorRole::kDown);  // 1024 over 256
  EXPECT_DOUBLE_EQ(down.init_std, 0.05);
  EXPECT_DOUBLE_EQ(down.rate, 0.25);
  const TensorRule output = tensor_rule(wide(), kBase, kFlat, TensorRole::kAttentionOutput);  // 8 * 64 over 2 * 32
  EXPECT_DOUBLE_EQ(output.rate, 1.0 / 8);
}

TEST(Mup, ABaseWithoutHeadsIsNarrowerInProportion) {
  const MupBase base = {.hidden_dim = 96, .ffn_dim = 384, .head_dim = 64};
  EXPECT_DOUBLE_EQ(tensor_rule(wide(), base, kFlat, TensorRole::kAttentionOutput).rate, 96.0 / 512);
}

TEST(Mup, EmbeddingAndOutputKeepTheBasesRates) {
  for (const TensorRole role : {TensorRole::kEmbedding, TensorRole::kHead}) {
    const TensorRule rule = tensor_rule(wide(), kBase, kFlat, role);
    EXPECT_EQ(rule.init_std, 0.1);
    EXPECT_EQ(rule.rate, 1);
    EXPECT_EQ(rule.decay, 1);
  }
}

TEST(Mup, GainsAndBiasesAreNotDecayed) {
  for (const TensorRole role : {TensorRole::kNormGain, TensorRole::kBias}) {
    EXPECT_EQ(tensor_rule(wide(), kBase, kFlat, role).decay, 0);
    EXPECT_EQ(tensor_rule(wide(), kBase, kFlat, role).rate, 1);
  }
}

TEST(Mup, RateTimesDecayDoesNotChangeWithTheWidth) {
  for (const TensorRole role :
       {TensorRole::kQkv, TensorRole::kAttentionOutput, TensorRole::kGateUp, TensorRole::kDown}) {
    const TensorRule rule = tensor_rule(wide(), kBase, {}, role);
    EXPECT_DOUBLE_EQ(rule.rate * rule.decay, 1);
  }
}

TEST(Mup, WithoutABaseNothingDependsOnTheWidth) {
  const TensorRule rule = tensor_rule(wide(), std::nullopt, kFlat, TensorRole::kGateUp);
  EXPECT_EQ(rule.init_std, 0.1);
  EXPECT_EQ(rule.rate, 1);
  EXPECT_EQ(rule.decay, 1);
}

TEST(Mup, WhatAddsToTheStreamBeginsSmallerByDepth) {
  const TensorRule down = tensor_rule(wide(), std::nullopt, {.sigma = 0.1}, TensorRole::kDown);
  EXPECT_DOUBLE_EQ(down.init_std, 0.05);  // sqrt(2 * 2)
}

TEST(Mup, TheBaseItselfKeepsItsAttentionAndLogits) {
  DecoderSpec spec = wide();
  spec.hidden_dim = 64;
  spec.head_dim = 32;
  const DecoderSpec same = with_mup(spec, kBase);
  EXPECT_FLOAT_EQ(same.attention_scale, static_cast<float>(1 / std::sqrt(32.0)));
  EXPECT_EQ(same.logit_divisor, 1);
  const DecoderSpec wider = with_mup(wide(), kBase);
  EXPECT_FLOAT_EQ(wider.attention_scale, static_cast<float>(std::sqrt(32.0) / 64));
  EXPECT_EQ(wider.logit_divisor, 8);
}

// The published Phi-3-small: 4096 wide over a base of 512 divides its logits by 8, and scores by its head's width.
TEST(Mup, GivesThePublishedMultipliersOfPhi3Small) {
  const DecoderSpec& small = variants()[4];
  const DecoderSpec made = with_mup(small, {.hidden_dim = 512, .ffn_dim = 1792, .n_heads = 4, .head_dim = 128}, 1);
  EXPECT_EQ(made.logit_divisor, small.logit_divisor);
  EXPECT_EQ(made.attention_scale, small.attention_scale);
}

}  // namespace
}  // namespace phial::spec
