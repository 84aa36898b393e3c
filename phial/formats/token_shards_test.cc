#include "phial/formats/token_shards.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace phial::formats {
namespace {
namespace fs = std::filesystem;

using Texts = std::vector<std::vector<int32_t>>;

class TokenShards : public testing::Test {
 protected:
  TokenShards()
      : path_(fs::path(testing::TempDir()) /
              (std::string("phial_shard_") + testing::UnitTest::GetInstance()->current_test_info()->name())) {
    fs::remove(path_);
  }
  ~TokenShards() override { fs::remove(path_); }
  TokenShards(const TokenShards&) = delete;
  TokenShards& operator=(const TokenShards&) = delete;

  void write(uint32_t vocab_size, const Texts& documents) const {
    auto writer = TokenShardWriter::create(path_, {.vocab_size = vocab_size, .vocabulary_hash = 77});
    ASSERT_TRUE(writer);
    for (const auto& document : documents) ASSERT_TRUE(writer->append(document));
    ASSERT_TRUE(writer->finish());
  }
  std::vector<std::byte> bytes() const {
    std::ifstream in(path_, std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(in), {}};
    const auto all = std::as_bytes(std::span(text));
    return {all.begin(), all.end()};
  }

  fs::path path_;
};

Texts read_all(const TokenShard& shard) {
  Texts documents;
  uint64_t begin = 0;
  for (const uint64_t end : shard.document_ends()) {
    documents.emplace_back(end - begin);
    EXPECT_TRUE(shard.read(begin, documents.back()));
    begin = end;
  }
  return documents;
}

TEST_F(TokenShards, WhatWasWrittenIsReadAtEitherWidthOfIds) {
  for (const uint32_t vocab_size : {65536U, 65537U}) {
    const Texts documents = {{0, 1, 2}, {static_cast<int32_t>(vocab_size) - 1}, std::vector<int32_t>(999, 5)};
    write(vocab_size, documents);
    const auto shard = TokenShard::open(path_);
    ASSERT_TRUE(shard) << shard.error().text();
    EXPECT_EQ(shard->header().vocab_size, vocab_size);
    EXPECT_EQ(shard->header().vocabulary_hash, 77U);
    EXPECT_EQ(shard->n_tokens(), 1003U);
    EXPECT_EQ(read_all(*shard), documents);
    EXPECT_EQ(fs::file_size(path_), 16 + (vocab_size > 65536 ? 4016U : 2008U) + 3 * 8 + 40);
    std::vector<int32_t> middle(2);
    ASSERT_TRUE(shard->read(2, middle));
    EXPECT_EQ(middle, (std::vector<int32_t>{2, static_cast<int32_t>(vocab_size) - 1}));
    fs::remove(path_);
  }
}

TEST_F(TokenShards, AShardMayHoldNothing) {
  write(10, {});
  const auto shard = TokenShard::open(path_);
  ASSERT_TRUE(shard);
  EXPECT_EQ(shard->n_tokens(), 0U);
  EXPECT_TRUE(shard->document_ends().empty());
}

TEST_F(TokenShards, AFileThatIsThereIsNotWrittenOver) {
  write(10, {{1}});
  EXPECT_FALSE(TokenShardWriter::create(path_, {.vocab_size = 10}));
  EXPECT_TRUE(TokenShard::open(path_));
}

TEST_F(TokenShards, AFileCutShortAtAnyByteIsAnErrorThatNamesIt) {
  write(300, {{1, 2, 3}, {4, 5}});
  const auto whole = bytes();
  for (size_t size = 0; size < whole.size(); ++size) {
    const std::vector<std::byte> cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
    const auto shard = TokenShard::parse(cut, "a/shard");
    ASSERT_FALSE(shard) << size;
    EXPECT_EQ(shard.error().code, Code::kCorrupt);
    EXPECT_TRUE(shard.error().message.starts_with("a/shard: ")) << shard.error().message;
  }
}

TEST_F(TokenShards, CountsThatOverflowAndEndsOutOfOrderAreErrors) {
  write(300, {{1, 2, 3}, {4, 5, 6, 7, 8}});
  const auto whole = bytes();
  const size_t tail = whole.size() - 40;
  const auto with = [&](size_t at, uint64_t value) {
    auto changed = whole;
    std::memcpy(changed.data() + at, &value, sizeof value);
    return TokenShard::parse(changed, "x").has_value();
  };
  EXPECT_TRUE(with(tail, 2));
  EXPECT_FALSE(with(tail, UINT64_MAX));                   // documents
  EXPECT_FALSE(with(tail, uint64_t{1} << 61));            // times 8 is nothing
  EXPECT_FALSE(with(tail + 8, (uint64_t{1} << 63) + 8));  // tokens: times 2 is 16
  EXPECT_FALSE(with(tail + 24, 0));                       // no vocabulary
  EXPECT_FALSE(with(tail - 16, 0));                       // an empty document
  EXPECT_FALSE(with(tail - 16, 8));                       // a document after the end
  EXPECT_FALSE(with(tail - 8, 7));                        // tokens after the last document
}

TEST_F(TokenShards, AVocabularyBeyondWhatAnIdCanNameIsAnError) {
  write(100000, {{1, 2, 3}, {4}});
  auto whole = bytes();
  const auto with = [&](uint32_t vocab_size) {
    std::memcpy(whole.data() + whole.size() - 16, &vocab_size, sizeof vocab_size);
    return TokenShard::parse(whole, "x").has_value();
  };
  EXPECT_TRUE(with(INT32_MAX));
  EXPECT_FALSE(with(uint32_t{INT32_MAX} + 1));
  EXPECT_FALSE(with(UINT32_MAX));
}

TEST_F(TokenShards, AnIdOutsideTheVocabularyIsAnErrorWhereItIsRead) {
  write(300, {{1, 2, 3}, {299, 5}});
  auto changed = bytes();
  changed[16 + 2 * 3 + 1] = std::byte{0xFF};
  const auto shard = TokenShard::parse(changed, "x");
  ASSERT_TRUE(shard);
  std::vector<int32_t> ids(3);
  EXPECT_TRUE(shard->read(0, ids));
  const Status read = shard->read(2, ids);
  ASSERT_FALSE(read);
  EXPECT_NE(read.error().message.find("token 65323"), std::string::npos) << read.error().message;
}

}  // namespace
}  // namespace phial::formats
