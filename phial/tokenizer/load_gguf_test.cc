#include <gtest/gtest.h>

#include "phial/tokenizer/load.h"

namespace phial::tokenizer {
namespace {

Json small_gpt2() {
  return {{"tokenizer.ggml.model", "gpt2"},
          {"tokenizer.ggml.pre", "gpt-2"},
          {"tokenizer.ggml.tokens", {"a", "b", "ab", "\u0120", "\u0120ab", "<|im_end|>", "<", "|"}},
          {"tokenizer.ggml.token_type", {1, 1, 1, 1, 1, 3, 1, 1}},
          {"tokenizer.ggml.merges", {"a b", "\u0120 ab"}},
          {"tokenizer.ggml.eos_token_id", 5}};
}

std::string gguf_error(const Json& metadata) {
  const auto tokenizer = from_gguf(metadata);
  if (tokenizer) return "";
  EXPECT_EQ(tokenizer.error().text().find('\n'), std::string::npos);
  return tokenizer.error().message;
}

TEST(FromGguf, ASmallVocabularyEncodesAndDecodes) {
  const auto tokenizer = from_gguf(small_gpt2());
  ASSERT_TRUE(tokenizer) << tokenizer.error().text();
  EXPECT_EQ((*tokenizer)->encode("ab ab"), (std::vector<TokenId>{2, 4}));
  EXPECT_EQ((*tokenizer)->encode("ab<|im_end|>", {.parse_special = true}), (std::vector<TokenId>{2, 5}));
  EXPECT_EQ((*tokenizer)->encode("<|"), (std::vector<TokenId>{6, 7}));
  const std::vector<TokenId> ids = {2, 4, 5, 99, -1};
  EXPECT_EQ((*tokenizer)->decode(ids), "ab ab");
  EXPECT_EQ((*tokenizer)->decode(ids, /*show_special=*/true), "ab ab<|im_end|>");
  EXPECT_EQ((*tokenizer)->end_of_text(), (std::vector<TokenId>{5}));
  EXPECT_EQ((*tokenizer)->id_of("\u0120ab"), 4);
  EXPECT_EQ((*tokenizer)->id_of("nothing"), std::nullopt);
}

TEST(FromGguf, SpecialTextThatTouchesAPlainRangeStaysText) {
  const auto tokenizer = from_gguf(small_gpt2());
  ASSERT_TRUE(tokenizer) << tokenizer.error().text();
  const std::string text = "<|im_end|>ab<|im_end|>";
  const std::vector<TokenId> both = (*tokenizer)->encode(text, {.parse_special = true});
  EXPECT_EQ(both, (std::vector<TokenId>{5, 2, 5}));
  for (const TextRange range : {TextRange{0, 10}, TextRange{9, 11}, TextRange{0, 1}}) {
    const std::vector<TextRange> ranges = {range};
    const auto ids = (*tokenizer)->encode(text, {.parse_special = true, .plain_ranges = ranges});
    EXPECT_NE(ids.front(), 5);
    EXPECT_EQ(ids.back(), 5);
  }
}

TEST(FromGguf, EveryIdAndSizeIsChecked) {
  Json metadata = small_gpt2();
  metadata["tokenizer.ggml.eos_token_id"] = 8;
  EXPECT_EQ(gguf_error(metadata), "'tokenizer.ggml.eos_token_id' is 8, wanted a token id below 8");
  metadata = small_gpt2();
  metadata["tokenizer.ggml.token_type"].push_back(1);
  EXPECT_EQ(gguf_error(metadata), "9 token types for 8 tokens");
  metadata = small_gpt2();
  metadata["tokenizer.ggml.token_type"][2] = 77;
  EXPECT_EQ(gguf_error(metadata), "token 2 is of type 77, known are 1 to 6");
  metadata = small_gpt2();
  metadata["tokenizer.ggml.merges"][0] = "a c";
  EXPECT_EQ(gguf_error(metadata), "merge 0 speaks of the token 'c', which the vocabulary of 8 lacks");
  metadata = small_gpt2();
  metadata["tokenizer.ggml.merges"][0] = "ab";
  EXPECT_EQ(gguf_error(metadata), "the merge 'ab' does not name two tokens");
  metadata = small_gpt2();
  metadata["tokenizer.ggml.tokens"][0] = 4;
  EXPECT_EQ(gguf_error(metadata), "'tokenizer.ggml.tokens' item 0 is not a text");
  metadata["tokenizer.ggml.tokens"] = Json::array();
  EXPECT_NE(gguf_error(metadata), "");
  EXPECT_EQ(gguf_error(Json::object()), "the GGUF file has no tokenizer");
  EXPECT_NE(gguf_error(Json(3)), "");
}

TEST(FromGguf, AnUnknownModelOrPreTokenizerIsRefusedByName) {
  Json metadata = small_gpt2();
  metadata["tokenizer.ggml.pre"] = "martian";
  EXPECT_NE(gguf_error(metadata).find("'martian'"), std::string::npos);
  metadata["tokenizer.ggml.model"] = "rwkv";
  EXPECT_NE(gguf_error(metadata).find("'rwkv'"), std::string::npos);
}

TEST(FromGguf, SentencePieceNeedsAFiniteScoreForEachToken) {
  Json metadata = {{"tokenizer.ggml.model", "llama"},
                   {"tokenizer.ggml.tokens", {"<unk>", "<s>", "</s>", "\u2581", "a", "\u2581a"}},
                   {"tokenizer.ggml.token_type", {2, 3, 3, 1, 1, 1}},
                   {"tokenizer.ggml.unknown_token_id", 0},
                   {"tokenizer.ggml.scores", {0, 0, 0, -1, -2, -3}}};
  const auto tokenizer = from_gguf(metadata);
  ASSERT_TRUE(tokenizer) << tokenizer.error().text();
  EXPECT_EQ((*tokenizer)->encode("a a"), (std::vector<TokenId>{5, 5}));
  EXPECT_EQ((*tokenizer)->encode("xx"), (std::vector<TokenId>{3, 0}));  // no byte tokens: unknown, once
  metadata["tokenizer.ggml.scores"].push_back(1);
  EXPECT_EQ(gguf_error(metadata), "7 token scores for 6 tokens");
  metadata["tokenizer.ggml.scores"] = {0, 0, 0, -1, -2, 1e300};
  EXPECT_EQ(gguf_error(metadata), "the score of token 5 is not a number");
}

TEST(FromGguf, UnigramFoldsCharactersAndExtraSpaces) {
  // A character map of one entry, "A" -> "a": root, the unit for 'A' at 65, and its value at 65 ^ 2.
  std::vector<uint32_t> units(68);
  units['A'] = 'A' | 1U << 8 | 2U << 10;
  units['A' ^ 2] = 0x80000000U;
  Json charsmap = {68 * 4 % 256, 68 * 4 / 256, 0, 0};
  for (const uint32_t unit : units) {
    for (int shift = 0; shift < 32; shift += 8) charsmap.push_back((unit >> shift) & 0xFF);
  }
  charsmap.push_back('a');
  charsmap.push_back(0);
  Json metadata = {{"tokenizer.ggml.model", "t5"},
                   {"tokenizer.ggml.tokens", {"<s>", "</s>", "<unk>", "\u2581", "a", "\u2581a"}},
                   {"tokenizer.ggml.token_type", {3, 3, 2, 1, 1, 1}},
                   {"tokenizer.ggml.unknown_token_id", 2},
                   {"tokenizer.ggml.scores", {0, 0, 0, -3, -2, -2.5}},
                   {"tokenizer.ggml.precompiled_charsmap", charsmap}};
  const auto tokenizer = from_gguf(metadata);
  ASSERT_TRUE(tokenizer) << tokenizer.error().text();
  EXPECT_EQ((*tokenizer)->encode("  aA   A "), (std::vector<TokenId>{5, 4, 5}));
  metadata["tokenizer.ggml.precompiled_charsmap"] = {255, 255, 255, 255, 1};
  EXPECT_EQ(gguf_error(metadata), "the character map promises a trie of 4294967295 bytes, 1 are left");
  metadata["tokenizer.ggml.precompiled_charsmap"] = {"x"};
  EXPECT_NE(gguf_error(metadata), "");
}

}  // namespace
}  // namespace phial::tokenizer
