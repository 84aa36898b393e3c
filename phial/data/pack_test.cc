#include "phial/data/pack.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <set>
#include <string>
#include <vector>

#include "phial/base/json.h"
#include "phial/base/mapped_file.h"
#include "phial/formats/token_shards.h"
#include "phial/tokenizer/load.h"
#include "phial/tokenizer/vocabulary_hash.h"

namespace phial::data {
namespace {
namespace fs = std::filesystem;
using testing::HasSubstr;

class Pack : public testing::Test {
 protected:
  Pack()
      : folder_(fs::path(testing::TempDir()) /
                (std::string("phial_pack_") + testing::UnitTest::GetInstance()->current_test_info()->name())),
        tokenizer_(*tokenizer::from_folder(fs::path(PHIAL_TESTDATA) / "tokenizers/phi3")) {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  ~Pack() override { fs::remove_all(folder_); }
  Pack(const Pack&) = delete;
  Pack& operator=(const Pack&) = delete;

  fs::path write(const std::string& name, const std::vector<std::string>& texts) const {
    std::ofstream file(folder_ / name, std::ios::binary);
    for (const std::string& text : texts) file << dump_json({{"text", text}}) << "\n";
    return folder_ / name;
  }
  Result<PackReport> pack_into(const std::string& out, const std::vector<fs::path>& inputs,
                               const PackOptions& options = {}, int threads = 2) const {
    ThreadPool pool(threads);
    return pack(inputs, *tokenizer_, folder_ / out, options, pool, {}, [](const PackProgress&) {});
  }
  // The documents of a folder of shards, in order.
  std::vector<std::vector<int32_t>> documents_of(const fs::path& folder) const {
    std::set<fs::path> files;
    for (const auto& entry : fs::directory_iterator(folder)) files.insert(entry.path());
    std::vector<std::vector<int32_t>> documents;
    for (const fs::path& file : files) {
      const auto shard = formats::TokenShard::open(file);
      EXPECT_TRUE(shard) << shard.error().text();
      EXPECT_EQ(shard->header().vocabulary_hash, tokenizer::vocabulary_hash(*tokenizer_));
      uint64_t begin = 0;
      for (const uint64_t end : shard->document_ends()) {
        documents.emplace_back(end - begin);
        EXPECT_TRUE(shard->read(begin, documents.back()));
        begin = end;
      }
    }
    return documents;
  }

  fs::path folder_;
  std::unique_ptr<tokenizer::Tokenizer> tokenizer_;
};

std::vector<std::string> many_texts(int count) {
  std::vector<std::string> texts(static_cast<size_t>(count));
  for (size_t i = 0; i < texts.size(); ++i) texts[i] = "Document number " + std::to_string(i * 7919) + " says so.";
  return texts;
}

TEST_F(Pack, EachDocumentIsTheIdsOfItsTextAndTheEnd) {
  const std::vector<std::string> texts = {"Hello world.", "A line\nand <|user|> and </s>, which stay text."};
  const auto report = pack_into("out", {write("a.jsonl", texts)});
  ASSERT_TRUE(report) << report.error().text();
  const auto documents = documents_of(folder_ / "out/train");
  ASSERT_EQ(documents.size(), texts.size());
  const int32_t end = tokenizer_->end_of_text().front();
  uint64_t tokens = 0;
  for (size_t i = 0; i < texts.size(); ++i) {
    auto expected = tokenizer_->encode(texts[i], {.add_bos = tokenizer_->adds_bos()});
    expected.push_back(end);
    EXPECT_EQ(documents[i], expected);
    EXPECT_EQ(std::ranges::count(documents[i], end), 1);
    tokens += expected.size();
  }
  EXPECT_EQ(report->train.tokens, tokens);
  EXPECT_EQ(report->train.documents, 2U);
  EXPECT_EQ(report->text_bytes, texts[0].size() + texts[1].size());
  EXPECT_FALSE(fs::exists(folder_ / "out/held_out"));
}

TEST_F(Pack, TheShardsAreTheSameForAnyNumberOfThreads) {
  const auto input = write("a.jsonl", many_texts(500));
  ASSERT_TRUE(pack_into("one", {input}, {.shard_tokens = 1000, .held_out = 0.1}, 1));
  ASSERT_TRUE(pack_into("seven", {input}, {.shard_tokens = 1000, .held_out = 0.1}, 7));
  size_t files = 0;
  for (const auto& entry : fs::recursive_directory_iterator(folder_ / "one")) {
    if (!entry.is_regular_file()) continue;
    const auto other = folder_ / "seven" / fs::relative(entry.path(), folder_ / "one");
    EXPECT_EQ(*read_text_file(entry.path()), *read_text_file(other)) << other;
    ++files;
  }
  EXPECT_GT(files, 5U);
}

TEST_F(Pack, AShardEndsWithTheDocumentThatReachesItsSize) {
  const auto report = pack_into("out", {write("a.jsonl", many_texts(100))}, {.shard_tokens = 100});
  ASSERT_TRUE(report);
  EXPECT_EQ(documents_of(folder_ / "out/train").size(), 100U);
  const auto first = formats::TokenShard::open(folder_ / "out/train/00000.tokens");
  ASSERT_TRUE(first);
  EXPECT_GE(first->n_tokens(), 100U);
  const auto ends = first->document_ends();
  EXPECT_LT(ends[ends.size() - 2], 100U);
}

TEST_F(Pack, WhatIsHeldOutIsAShareOfTheTextsAndCopiesStandOnOneSide) {
  auto texts = many_texts(2000);
  const auto copies = texts;
  texts.insert(texts.end(), copies.begin(), copies.end());
  const auto report = pack_into("out", {write("a.jsonl", texts)}, {.held_out = 0.2});
  ASSERT_TRUE(report);
  EXPECT_EQ(report->train.documents + report->held_out.documents, 4000U);
  EXPECT_NEAR(static_cast<double>(report->held_out.documents) / 4000, 0.2, 0.05);
  const auto train = documents_of(folder_ / "out/train");
  const std::set<std::vector<int32_t>> seen(train.begin(), train.end());
  for (const auto& document : documents_of(folder_ / "out/held_out")) EXPECT_FALSE(seen.contains(document));
}

TEST_F(Pack, WhenAnythingFailsNothingStandsThere) {
  std::ofstream(folder_ / "bad.jsonl") << "{\"text\": \"fine\"}\n{\"text\": 5}\n";
  const auto good = write("good.jsonl", {"fine"});
  const auto bad = pack_into("out", {good, folder_ / "bad.jsonl"});
  ASSERT_FALSE(bad);
  EXPECT_THAT(bad.error().message, HasSubstr("bad.jsonl, line 2"));
  EXPECT_FALSE(pack_into("out", {folder_ / "nowhere.jsonl"}));
  EXPECT_FALSE(pack_into("out", {write("empty.jsonl", {""})}));
  std::stop_source stop;
  stop.request_stop();
  ThreadPool pool(1);
  const std::vector<fs::path> large = {write("large.jsonl", {std::string(size_t{5} << 20, 'a')})};
  const auto stopped =
      pack(large, *tokenizer_, folder_ / "out", {}, pool, stop.get_token(), [](const PackProgress&) {});
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().code, Code::kCancelled);
  for (const auto& entry : fs::directory_iterator(folder_)) EXPECT_EQ(entry.path().extension(), ".jsonl");

  ASSERT_TRUE(pack_into("out", {good}));
  EXPECT_FALSE(pack_into("out", {good}));
  EXPECT_EQ(documents_of(folder_ / "out/train").size(), 1U);
}

}  // namespace
}  // namespace phial::data
