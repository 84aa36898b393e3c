#include <gtest/gtest.h>

#include <filesystem>

#include "phial/base/mapped_file.h"
#include "phial/tokenizer/load.h"

namespace phial::tokenizer {
namespace {

namespace fs = std::filesystem;
using Ids = std::vector<TokenId>;

Json added(int id, const char* text, bool special = true) {
  return {{"id", id}, {"content", text}, {"special", special}, {"lstrip", false}, {"rstrip", false}};
}

Json byte_level() {
  return {{"added_tokens", {added(5, "<|end|>"), added(6, "    ", false), added(7, "<tool>", false)}},
          {"pre_tokenizer", {{"type", "ByteLevel"}, {"add_prefix_space", false}}},
          {"decoder", {{"type", "ByteLevel"}}},
          {"model",
           {{"type", "BPE"},
            {"vocab", {{"a", 0}, {"b", 1}, {"ab", 2}, {"\u0120", 3}, {"\u0120ab", 4}}},
            {"merges", {"a b", Json::array({"\u0120", "ab"})}}}}};
}

Json word_piece() {
  return {{"added_tokens", {added(0, "[UNK]"), added(1, "[CLS]"), added(2, "[SEP]")}},
          {"normalizer", {{"type", "BertNormalizer"}}},
          {"pre_tokenizer", {{"type", "BertPreTokenizer"}}},
          {"post_processor",
           {{"type", "TemplateProcessing"},
            {"single",
             {{{"SpecialToken", {{"id", "[CLS]"}}}},
              {{"Sequence", {{"id", "A"}}}},
              {{"SpecialToken", {{"id", "[SEP]"}}}}}}}},
          {"model",
           {{"type", "WordPiece"},
            {"unk_token", "[UNK]"},
            {"vocab", {{"[UNK]", 0}, {"[CLS]", 1}, {"[SEP]", 2}, {"caf", 3}, {"##e", 4}, {"!", 5}, {"\u4E2D", 6}}}}}};
}

Json unigram() {
  return {{"added_tokens", {added(0, "<s>"), added(1, "<unk>")}},
          {"pre_tokenizer", {{"type", "Metaspace"}, {"replacement", "\u2581"}, {"prepend_scheme", "always"}}},
          {"model",
           {{"type", "Unigram"},
            {"unk_id", 1},
            {"vocab",
             Json::array({Json::array({"<s>", 0}), Json::array({"<unk>", 0}), Json::array({"\u2581", -1.0}),
                          Json::array({"a", -2.0}), Json::array({"\u2581a", -2.5}), Json::array({"aa", -4.5})})}}}};
}

std::string json_error(const Json& file) {
  const auto tokenizer = from_tokenizer_json(dump_json(file));
  if (tokenizer) return "";
  EXPECT_EQ(tokenizer.error().text().find('\n'), std::string::npos);
  return tokenizer.error().message;
}

TEST(TokenizerJson, ByteLevelMergesComeAsTextsOrPairs) {
  const auto tokenizer = from_tokenizer_json(dump_json(byte_level()));
  ASSERT_TRUE(tokenizer) << tokenizer.error().text();
  EXPECT_EQ((*tokenizer)->encode("ab ab"), (Ids{2, 4}));
  EXPECT_FALSE((*tokenizer)->adds_bos());
}

TEST(TokenizerJson, AddedTokensThatAreMereSpacesAreFoundInAnyTextAndMarkupIsNot) {
  const auto tokenizer = from_tokenizer_json(dump_json(byte_level()));
  ASSERT_TRUE(tokenizer) << tokenizer.error().text();
  EXPECT_EQ((*tokenizer)->encode("ab    ab"), (Ids{2, 6, 2}));
  EXPECT_EQ((*tokenizer)->encode("<tool>ab"), Ids{2});  // the vocabulary has no bytes for the rest
  EXPECT_EQ((*tokenizer)->encode("<tool>ab<|end|>", {.parse_special = true}), (Ids{7, 2, 5}));
  const Ids shown = {7, 2, 5};
  EXPECT_EQ((*tokenizer)->decode(shown), "<tool>ab");
}

TEST(TokenizerJson, WordPieceTakesItsFrameFromTheTemplate) {
  const auto tokenizer = from_tokenizer_json(dump_json(word_piece()));
  ASSERT_TRUE(tokenizer) << tokenizer.error().text();
  EXPECT_EQ((*tokenizer)->encode("Caf\u00E9! \u4E2Dxyz", {.add_bos = true}), (Ids{1, 3, 4, 5, 6, 0}));
  EXPECT_EQ((*tokenizer)->bos(), 1);
  EXPECT_EQ((*tokenizer)->end_of_text(), Ids{2});
  EXPECT_TRUE((*tokenizer)->adds_bos());
  const Ids ids = {1, 3, 4, 5, 6, 2};
  EXPECT_EQ((*tokenizer)->decode(ids), "cafe! \u4E2D");
}

TEST(TokenizerJson, UnigramTakesTheBestSumOfScores) {
  const auto tokenizer = from_tokenizer_json(dump_json(unigram()));
  ASSERT_TRUE(tokenizer) << tokenizer.error().text();
  EXPECT_EQ((*tokenizer)->encode("aa"), (Ids{4, 3}));  // -4.5 beats -5.5
  EXPECT_EQ((*tokenizer)->encode("aaa"), (Ids{4, 3, 3}));
  EXPECT_EQ((*tokenizer)->encode("a zz"), (Ids{4, 2, 1}));  // unknown, once
}

TEST(TokenizerJson, SideFilesNameTheRoles) {
  SideFiles side;
  side.tokenizer_config = {{"bos_token", {{"content", "<|end|>"}}}, {"eos_token", "<|end|>"}, {"add_bos_token", true}};
  side.generation_config = {{"eos_token_id", {5, 6, 99, "x"}}};
  const auto tokenizer = from_tokenizer_json(dump_json(byte_level()), side);
  ASSERT_TRUE(tokenizer) << tokenizer.error().text();
  EXPECT_EQ((*tokenizer)->bos(), 5);
  EXPECT_TRUE((*tokenizer)->adds_bos());
  EXPECT_EQ((*tokenizer)->end_of_text(), (Ids{5, 6}));
}

TEST(TokenizerJson, EveryIdIsChecked) {
  Json file = byte_level();
  file["model"]["vocab"]["a"] = 70'000;
  EXPECT_EQ(json_error(file), "the token 'a' has the id 70000 among 5 tokens");
  file["model"]["vocab"]["a"] = -1;
  EXPECT_NE(json_error(file), "");
  file = byte_level();
  file["added_tokens"][0]["id"] = 70'000;
  EXPECT_EQ(json_error(file), "the added token '<|end|>' has id 70000, the vocabulary ends at 8");
  file["added_tokens"][0]["id"] = "5";
  EXPECT_NE(json_error(file), "");
  file = byte_level();
  file["model"]["merges"][0] = "a b c";
  EXPECT_EQ(json_error(file), "merge 0 is \"a b c\", wanted two tokens");
  file["model"]["merges"][0] = "a x";
  EXPECT_NE(json_error(file).find("'x'"), std::string::npos);
  file = word_piece();
  file["model"]["unk_token"] = "gone";
  EXPECT_EQ(json_error(file), "the unknown token 'gone' is not in the vocabulary");
  file = unigram();
  file["model"]["unk_id"] = 6;
  EXPECT_NE(json_error(file), "");
  file = unigram();
  file["model"]["vocab"][3][1] = "x";
  EXPECT_NE(json_error(file), "");
}

TEST(TokenizerJson, WhatIsNotKnownIsRefusedByName) {
  Json file = byte_level();
  file["model"]["type"] = "WordLevel";
  EXPECT_EQ(json_error(file), "the model 'WordLevel' is not known");
  file = byte_level();
  file["normalizer"] = {{"type", "Nmt"}};
  EXPECT_EQ(json_error(file), "the normalizer step 'Nmt' is not known");
  file = byte_level();
  file["pre_tokenizer"] = {{"type", "Sequence"},
                           {"pretokenizers", {{{"type", "CharDelimiterSplit"}}, byte_level()["pre_tokenizer"]}}};
  EXPECT_EQ(json_error(file), "the pre-tokenizer 'CharDelimiterSplit' is not known");
  file = byte_level();
  file["model"]["end_of_word_suffix"] = "</w>";
  EXPECT_NE(json_error(file).find("end_of_word_suffix"), std::string::npos);
}

TEST(TokenizerJson, ATruncatedOrForeignFileIsAnError) {
  const std::string text = dump_json(word_piece());
  for (size_t n = 0; n < text.size(); ++n) EXPECT_FALSE(from_tokenizer_json(text.substr(0, n)));
  for (const char* other :
       {"[]", "3", "{}", R"({"model":3})", R"({"model":{"type":"BPE","vocab":[]}})", R"({"model":{}})"}) {
    EXPECT_FALSE(from_tokenizer_json(other)) << other;
  }
}

TEST(SentencePieceFile, ATruncatedFileIsAnErrorOrASmallerVocabulary) {
  const auto bytes = read_text_file(fs::path(PHIAL_TESTDATA) / "golden" / "llama-like" / "tokenizer.model");
  ASSERT_TRUE(bytes) << bytes.error().text();
  for (size_t n = 0; n < bytes->size(); ++n) {
    const auto tokenizer = from_sentencepiece(std::string_view(*bytes).substr(0, n));
    if (tokenizer) (*tokenizer)->encode("any text");
  }
  EXPECT_FALSE(from_sentencepiece(""));
}

TEST(Tiktoken, ABrokenLineIsAnErrorThatQuotesIt) {
  const auto error = [](std::string_view ranks, std::vector<SpecialToken> specials = {}) {
    const auto tokenizer = from_tiktoken(ranks, phi3_small_pattern(), specials);
    return tokenizer ? std::string() : tokenizer.error().message;
  };
  EXPECT_EQ(error("YQ== 0\nYg== 1\n"), "");
  EXPECT_EQ(error("YQ== 0\nYg==\n"), "line 2 of the ranks is 'Yg==', wanted a token in base64 and its rank");
  EXPECT_NE(error("YQ== 0\n?? 1\n"), "");
  EXPECT_NE(error("YQ== 0\nYg== 99999999999\n"), "");
  EXPECT_NE(error("YQ== 16000000\n"), "");
  EXPECT_NE(error(""), "");
  EXPECT_NE(error("YQ== 0\n", {{"<s>", 0}}), "");
  EXPECT_NE(error("YQ== 0\n", {{"<s>", 1'000'000'000}}), "");
}

TEST(FromFolder, AFolderWithoutTokenizerSaysWhatIsLookedFor) {
  const auto tokenizer = from_folder(fs::path(PHIAL_TESTDATA) / "quant");
  ASSERT_FALSE(tokenizer);
  EXPECT_EQ(tokenizer.error().code, Code::kNotFound);
  EXPECT_NE(tokenizer.error().message.find("tokenizer.json"), std::string::npos);
}

}  // namespace
}  // namespace phial::tokenizer
