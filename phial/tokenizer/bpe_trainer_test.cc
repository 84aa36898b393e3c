#include "phial/tokenizer/bpe_trainer.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "phial/base/json_file.h"
#include "phial/tokenizer/load.h"

namespace phial::tokenizer {
namespace {

const std::vector<std::string> kMarkers = {"<|endoftext|>", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>"};

Result<BpeVocabulary> learn(const std::vector<std::string>& texts, size_t vocab_size) {
  BpeTrainer trainer;
  for (const std::string& text : texts) trainer.add(text);
  return trainer.learn(vocab_size, kMarkers, {}, [](size_t) {});
}

// testdata/tokenizers/learned.json: Hugging Face's trainer on the same texts (tools/make_bpe_oracle.py).
TEST(BpeTrainer, LearnsTheMergesOfHuggingFacesTrainer) {
  const auto oracle = read_json_if_there(std::filesystem::path(PHIAL_TESTDATA) / "tokenizers" / "learned.json");
  ASSERT_TRUE(oracle && oracle->is_object());
  const auto learned = learn((*oracle)["texts"].get<std::vector<std::string>>(), (*oracle)["vocab"].size());
  ASSERT_TRUE(learned);
  const Json model = tokenizer_json_of(*learned)["model"];
  const Json& wanted = (*oracle)["merges"];
  ASSERT_EQ(model["merges"].size(), wanted.size());
  for (size_t i = 0; i < wanted.size(); ++i) ASSERT_EQ(model["merges"][i], wanted[i]) << i;
  EXPECT_EQ(model["vocab"], (*oracle)["vocab"]);
}

TEST(BpeTrainer, WhatItLearnedReadsAnyTextBack) {
  const auto learned = learn({"the cat and the other cat and the dog"}, 300);
  ASSERT_TRUE(learned);
  const auto tokenizer = from_tokenizer_json(dump_json(tokenizer_json_of(*learned)));
  ASSERT_TRUE(tokenizer) << tokenizer.error().text();
  for (const std::string text : {"the cat", "Ünïcode 数 🙂", "\x01\t\n  x", "<|user|> is text"}) {
    EXPECT_EQ((*tokenizer)->decode((*tokenizer)->encode(text)), text);
  }
  EXPECT_EQ((*tokenizer)->encode(" the").size(), 1U);
  EXPECT_EQ((*tokenizer)->id_of("<|end|>"), 4);
  EXPECT_EQ((*tokenizer)->encode("<|end|>", {.parse_special = true}), std::vector<TokenId>{4});
}

TEST(BpeTrainer, APairThatOccursOnceIsNoToken) {
  const auto learned = learn({"abcdefg"}, 1000);
  ASSERT_TRUE(learned);
  EXPECT_TRUE(learned->merges.empty());
  EXPECT_EQ(learned->pieces.size(), 256U);
}

TEST(BpeTrainer, TheOrderOfTheTextsDoesNotMatter) {
  const auto one = learn({"low lower lowest", "newer wider", "low low"}, 290);
  const auto other = learn({"low low", "newer wider", "low lower lowest"}, 290);
  ASSERT_TRUE(one && other);
  EXPECT_EQ(one->merges, other->merges);
  EXPECT_FALSE(one->merges.empty());
}

TEST(BpeTrainer, CanBeStopped) {
  BpeTrainer trainer;
  trainer.add("the the the");
  std::stop_source stop;
  stop.request_stop();
  const auto learned = trainer.learn(300, kMarkers, stop.get_token(), [](size_t) {});
  ASSERT_FALSE(learned);
  EXPECT_EQ(learned.error().code, Code::kCancelled);
}

}  // namespace
}  // namespace phial::tokenizer
