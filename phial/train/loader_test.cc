#include "phial/train/loader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>
#include <set>

namespace phial::train {
namespace {

using testing::HasSubstr;

class LoaderTest : public testing::Test {
 protected:
  LoaderTest() { std::filesystem::create_directories(folder_); }
  ~LoaderTest() override { std::filesystem::remove_all(folder_); }

  // Documents of these lengths whose tokens count up from `first`.
  std::filesystem::path shard(const std::string& name, std::initializer_list<int> lengths, int32_t first,
                              formats::TokenShardHeader header = {.vocab_size = 1000}) {
    const auto path = folder_ / name;
    auto writer = formats::TokenShardWriter::create(path, header);
    EXPECT_TRUE(writer);
    for (const int length : lengths) {
      std::vector<int32_t> document(static_cast<size_t>(length));
      std::iota(document.begin(), document.end(), first);
      first += length;
      EXPECT_TRUE(writer->append(document));
    }
    EXPECT_TRUE(writer->finish());
    return path;
  }

 private:
  std::filesystem::path folder_ =
      std::filesystem::temp_directory_path() /
      ("phial-loader-" + std::string(testing::UnitTest::GetInstance()->current_test_info()->name()));
};

std::vector<int64_t> values(const at::Tensor& row) {
  const at::Tensor flat = row.contiguous().flatten();
  return {flat.data_ptr<int64_t>(), flat.data_ptr<int64_t>() + flat.numel()};
}

TEST_F(LoaderTest, EveryWindowComesOnceAnEpochInAnotherOrderEach) {
  const auto loader = Loader::open({shard("a", {100}, 0), shard("b", {57}, 500)}, {5, 1000, 3});
  ASSERT_TRUE(loader);
  ASSERT_EQ(loader->rows(), 19 + 11);
  std::vector<std::vector<int64_t>> orders;
  for (uint64_t epoch = 0; epoch < 3; ++epoch) {
    const auto batch = loader->batch(epoch * 30, 30);
    ASSERT_TRUE(batch);
    EXPECT_TRUE(batch->one_document_a_row);
    orders.push_back(values(batch->ids.select(1, 0)));
    EXPECT_EQ(std::set(orders.back().begin(), orders.back().end()).size(), 30);
    for (int64_t r = 0; r < 30; ++r) {
      EXPECT_EQ((batch->targets[r] - batch->ids[r]).eq(1).all().item<bool>(), true);
      EXPECT_EQ(batch->ids[r][4].item<int64_t>() - batch->ids[r][0].item<int64_t>(), 4);
    }
  }
  EXPECT_NE(orders[0], orders[1]);
  EXPECT_NE(orders[1], orders[2]);
}

TEST_F(LoaderTest, ASampleIsTheSameHoweverTheyAreCutIntoBatches) {
  const auto path = shard("a", {30, 1, 9, 60}, 0);
  const auto loader = Loader::open({path}, {7, 1000, 3});
  const auto again = Loader::open({path}, {7, 1000, 3});
  const Batch all = *loader->batch(0, 40);
  for (uint64_t first = 0; first < 40; first += 4) {
    const Batch part = *again->batch(first, 4);
    const auto at = static_cast<int64_t>(first);
    EXPECT_TRUE(at::equal(part.ids, all.ids.slice(0, at, at + 4)));
    EXPECT_TRUE(at::equal(part.targets, all.targets.slice(0, at, at + 4)));
    EXPECT_TRUE(at::equal(part.positions, all.positions.slice(0, at, at + 4)));
    EXPECT_TRUE(at::equal(part.documents, all.documents.slice(0, at, at + 4)));
  }
}

TEST_F(LoaderTest, DocumentsBeginAnewAndTheTargetBehindTheirEndDoesNotCount) {
  const auto loader = Loader::open({shard("a", {3, 1, 4, 3}, 0)}, {10, 1000, 0});
  const Batch batch = *loader->batch(0, 1);
  EXPECT_FALSE(batch.one_document_a_row);
  EXPECT_EQ(values(batch.ids), (std::vector<int64_t>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
  EXPECT_EQ(values(batch.positions), (std::vector<int64_t>{0, 1, 2, 0, 0, 1, 2, 3, 0, 1}));
  EXPECT_EQ(values(batch.documents), (std::vector<int64_t>{0, 0, 0, 1, 2, 2, 2, 2, 3, 3}));
  EXPECT_EQ(values(batch.targets), (std::vector<int64_t>{1, 2, kIgnored, kIgnored, 5, 6, 7, kIgnored, 9, 10}));
}

TEST_F(LoaderTest, ADocumentThatEndsWithTheWindowLeavesItWhole) {
  const auto loader = Loader::open({shard("a", {5, 6}, 0)}, {5, 1000, 0});
  const Batch batch = *loader->batch(0, 2);
  EXPECT_EQ(batch.targets.eq(kIgnored).sum().item<int64_t>(), 1);
  EXPECT_EQ(batch.positions.select(1, 0).sum().item<int64_t>(), 0);
}

TEST_F(LoaderTest, ShardsThatCannotServeAreRefusedWithTheRemedy) {
  const auto error = [](const Result<Loader>& loader) { return loader ? "" : loader.error().text(); };
  EXPECT_THAT(error(Loader::open({}, {5, 1000, 0})), HasSubstr("no shard is named"));
  EXPECT_THAT(error(Loader::open({shard("s", {5}, 0)}, {5, 1000, 0})), HasSubstr("no window of 5 tokens"));
  EXPECT_THAT(error(Loader::open({shard("v", {50}, 0)}, {5, 999, 0})), HasSubstr("the model's 999"));
  EXPECT_THAT(error(Loader::open({shard("x", {50}, 0, {1000, 7}), shard("y", {50}, 0, {1000, 8})}, {5, 1000, 0})),
              HasSubstr("another tokenizer"));
}

}  // namespace
}  // namespace phial::train
