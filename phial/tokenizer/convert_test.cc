// Vocabularies of published models through a folder's files and back into GGUF's entries.
#include "phial/tokenizer/convert.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "phial/base/mapped_file.h"
#include "phial/formats/checkpoint.h"
#include "phial/tokenizer/load.h"

namespace phial::tokenizer {
namespace {

namespace fs = std::filesystem;

class ConvertTokenizer : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) /
              (std::string("phial_tokenizer_") + testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(folder_);
    fs::create_directory(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  // The ids of `text` by the vocabulary of `gguf`, by the folder made of it, and by the entries made of that.
  void expect_same_ids(const fs::path& gguf, const std::string& text) {
    const auto checkpoint = formats::Checkpoint::open(gguf);
    ASSERT_TRUE(checkpoint) << checkpoint.error().text();
    const auto files = folder_files(checkpoint->metadata());
    ASSERT_TRUE(files) << files.error().text();
    for (const auto& [name, content] : *files) std::ofstream(folder_ / name, std::ios::binary) << content;
    const auto entries = gguf_entries(folder_, checkpoint->metadata()["tokenizer.ggml.tokens"].size() + 3);
    ASSERT_TRUE(entries) << entries.error().text();

    const auto first = from_gguf(checkpoint->metadata()), second = from_folder(folder_), third = from_gguf(*entries);
    ASSERT_TRUE(first && second && third);
    for (const bool special : {false, true}) {
      const EncodeOptions options{.parse_special = special, .add_bos = true};
      const auto ids = (*first)->encode(text, options);
      EXPECT_EQ((*second)->encode(text, options), ids);
      EXPECT_EQ((*third)->encode(text, options), ids);
      EXPECT_EQ((*second)->decode(ids, special), (*first)->decode(ids, special));
    }
    EXPECT_EQ((*second)->end_of_text(), (*first)->end_of_text());
  }

  fs::path folder_;
};

std::string vectors_text(const std::string& name) {
  return *read_text_file(fs::path(PHIAL_TESTDATA) / "tokenizers/ggml-vocabs" / (name + ".gguf.inp"));
}

fs::path vocabulary(const std::string& name) {
  return fs::path(PHIAL_TESTDATA) / "tokenizers/ggml-vocabs" / (name + ".gguf");
}

TEST_F(ConvertTokenizer, SentencePieceKeepsItsIds) {
  expect_same_ids(vocabulary("ggml-vocab-phi-3"), vectors_text("ggml-vocab-phi-3"));
}

TEST_F(ConvertTokenizer, ByteLevelBpeKeepsItsIds) {
  expect_same_ids(vocabulary("ggml-vocab-gpt-2"), vectors_text("ggml-vocab-gpt-2"));
}

TEST_F(ConvertTokenizer, RanksKeepTheirIds) {
  const fs::path origin = fs::path(PHIAL_TESTDATA) / "tokenizers/phi3-small";
  const auto entries = gguf_entries(origin, 100352);
  ASSERT_TRUE(entries) << entries.error().text();
  const auto files = folder_files(*entries);
  ASSERT_TRUE(files) << files.error().text();
  for (const auto& [name, content] : *files) std::ofstream(folder_ / name, std::ios::binary) << content;
  const auto first = from_folder(origin), second = from_gguf(*entries), third = from_folder(folder_);
  ASSERT_TRUE(first && second && third) << second.error().text();
  EXPECT_EQ(*read_text_file(folder_ / "cl100k_base.tiktoken"), *read_text_file(origin / "cl100k_base.tiktoken"));
  const Json vectors = *parse_json(*read_text_file(origin / "vectors.json"));
  const std::string texts = vectors_text("ggml-vocab-gpt-2") + dump_json(vectors);
  for (const bool special : {false, true}) {
    const auto ids = (*first)->encode(texts + "<|user|>\nhi<|end|>", {.parse_special = special});
    EXPECT_EQ((*second)->encode(texts + "<|user|>\nhi<|end|>", {.parse_special = special}), ids);
    EXPECT_EQ((*third)->encode(texts + "<|user|>\nhi<|end|>", {.parse_special = special}), ids);
    EXPECT_EQ((*second)->decode(ids, special), (*first)->decode(ids, special));
  }
  EXPECT_EQ((*second)->special_tokens().size(), (*first)->special_tokens().size());
  EXPECT_EQ((*second)->end_of_text(), (*first)->end_of_text());
  EXPECT_EQ((*second)->bos(), (*first)->bos());
  EXPECT_EQ((*second)->adds_bos(), (*first)->adds_bos());
}

TEST_F(ConvertTokenizer, NamesThatMeanTheSameBecomeTheFirstOfThem) {
  auto metadata = formats::Checkpoint::open(vocabulary("ggml-vocab-gpt-2"))->metadata();
  const std::pair<const char*, const char*> names[] = {{"jina-v2-en", "gpt-2"}, {"starcoder", "smollm"},
                                                       {"llama3", "llama-bpe"}, {"smaug-bpe", "smaug-bpe"},
                                                       {"dbrx", "smaug-bpe"},   {"megrez", "qwen2"}};
  for (const auto& [name, first] : names) {
    metadata["tokenizer.ggml.pre"] = name;
    const auto files = folder_files(metadata);
    ASSERT_TRUE(files) << files.error().text();
    for (const auto& [file, content] : *files) std::ofstream(folder_ / file, std::ios::binary) << content;
    const auto entries = gguf_entries(folder_, metadata["tokenizer.ggml.tokens"].size());
    ASSERT_TRUE(entries) << entries.error().text();
    EXPECT_EQ((*entries)["tokenizer.ggml.pre"], first) << name;
  }
}

TEST_F(ConvertTokenizer, WhatAFolderCannotExpressIsRefusedByName) {
  const Json metadata = {{"tokenizer.ggml.model", "t5"},
                         {"tokenizer.ggml.tokens", {"<unk>", "a"}},
                         {"tokenizer.ggml.scores", {0.0, -1.0}},
                         {"tokenizer.ggml.unknown_token_id", 0}};
  const auto files = folder_files(metadata);
  ASSERT_FALSE(files);
  EXPECT_THAT(files.error().text(), testing::HasSubstr("'t5' cannot be written"));
}

TEST_F(ConvertTokenizer, AModelWithoutATokenizerStaysOne) {
  EXPECT_EQ((*gguf_entries(folder_, 8))["tokenizer.ggml.model"], "no_vocab");
  EXPECT_TRUE(folder_files({{"tokenizer.ggml.model", "no_vocab"}})->empty());
  EXPECT_TRUE(folder_files(Json::object())->empty());
}

}  // namespace
}  // namespace phial::tokenizer
