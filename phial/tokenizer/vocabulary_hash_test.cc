#include "phial/tokenizer/vocabulary_hash.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "phial/base/json.h"
#include "phial/tokenizer/load.h"

namespace phial::tokenizer {
namespace {

uint64_t hash_of(const Json& vocab) {
  const Json file = {{"pre_tokenizer", {{"type", "ByteLevel"}, {"add_prefix_space", false}}},
                     {"decoder", {{"type", "ByteLevel"}}},
                     {"model", {{"type", "BPE"}, {"vocab", vocab}, {"merges", Json::array()}}}};
  const auto tokenizer = from_tokenizer_json(dump_json(file));
  EXPECT_TRUE(tokenizer) << tokenizer.error().text();
  return vocabulary_hash(**tokenizer);
}

TEST(VocabularyHash, TellsVocabulariesApartByPiecesAndTheirOrder) {
  const uint64_t hash = hash_of({{"a", 0}, {"b", 1}, {"c", 2}});
  EXPECT_EQ(hash, hash_of({{"a", 0}, {"b", 1}, {"c", 2}}));
  EXPECT_NE(hash, hash_of({{"b", 0}, {"a", 1}, {"c", 2}}));
  EXPECT_NE(hash, hash_of({{"a", 0}, {"b", 1}}));
  EXPECT_NE(hash, hash_of({{"a", 0}, {"b", 1}, {"d", 2}}));
}

// docs/formats.md: for each id the length of its bytes as 8 bytes, then the bytes; FNV-1a.
TEST(VocabularyHash, IsTheNumberThatTheFormatSays) {
  uint64_t expected = 14695981039346656037U;
  for (const int byte : {1, 0, 0, 0, 0, 0, 0, 0, static_cast<int>('a')}) {
    expected = (expected ^ static_cast<uint64_t>(byte)) * 1099511628211U;
  }
  EXPECT_EQ(hash_of({{"a", 0}}), expected);
}

}  // namespace
}  // namespace phial::tokenizer
