#include "phial/train/mixed_windows.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <numeric>
#include <set>
#include <span>
#include <vector>

#include "phial/base/temp_folder_for_test.h"

namespace phial::train {
namespace {

using testing::ElementsAre;

class MixedWindowsTest : public testing::Test {
 protected:
  MixedWindowsTest() {
    auto writer = formats::TokenShardWriter::create(folder_ / "a.tokens", {.vocab_size = 1000});
    EXPECT_TRUE(writer);
    std::vector<int32_t> document(961);
    std::iota(document.begin(), document.end(), 0);
    EXPECT_TRUE(writer->append(document));
    EXPECT_TRUE(writer->finish());
  }

  Loader loader(int64_t tokens) const {
    auto opened = Loader::open({folder_ / "a.tokens"}, {tokens, 1000, 3});
    EXPECT_TRUE(opened);
    return *std::move(opened);
  }
  // Windows of 8 tokens among such of 16 and then 32; batches of two samples.
  MixedWindows mixed(double short_share, uint64_t samples) const {
    std::vector<Loader> lengths;
    lengths.push_back(loader(16));
    lengths.push_back(loader(32));
    return {loader(8), std::move(lengths), {.short_share = short_share, .rows = 2, .samples = samples}};
  }

  const TempFolder folder_;
};

std::vector<int64_t> lengths_of(const MixedWindows& mixed, uint64_t batches) {
  std::vector<int64_t> lengths;
  for (uint64_t b = 0; b < batches; ++b) {
    const auto batch = mixed.batch(2 * b, 2);
    EXPECT_TRUE(batch);
    EXPECT_EQ(batch->ids.numel(), 64) << "these lengths divide the longest";
    lengths.push_back(batch->ids.size(1));
  }
  return lengths;
}

TEST_F(MixedWindowsTest, LengthsGrowAndAShareOfTheBatchesIsShort) {
  EXPECT_THAT(lengths_of(mixed(0.5, 16), 8), ElementsAre(16, 8, 16, 8, 32, 8, 32, 8));
  EXPECT_THAT(lengths_of(mixed(0.25, 16), 8), ElementsAre(16, 16, 16, 8, 32, 32, 32, 8));
  std::map<int64_t, int> counts;
  for (const int64_t length : lengths_of(mixed(0.3, 200), 100)) ++counts[length];
  EXPECT_EQ(counts[8], 30);
  EXPECT_NEAR(counts[16], counts[32], 1);
}

TEST_F(MixedWindowsTest, EveryWindowOfALengthComesOnceBeforeAnyComesAgain) {
  const MixedWindows source = mixed(0.5, 120);  // in each half 15 batches of two samples, which are all its windows
  std::map<int64_t, std::vector<int64_t>> begins;
  for (uint64_t b = 0; b < 60; ++b) {
    const auto batch = source.batch(2 * b, 2);
    ASSERT_TRUE(batch);
    for (int64_t r = 0; r < batch->ids.size(0); ++r) {
      begins[batch->ids.size(1)].push_back(batch->ids[r][0].item<int64_t>());
    }
  }
  const auto different = [](std::span<const int64_t> all) { return std::set(all.begin(), all.end()).size(); };
  EXPECT_EQ(begins[16].size(), 60);
  EXPECT_EQ(different(begins[16]), 60);
  EXPECT_EQ(begins[32].size(), 30);
  EXPECT_EQ(different(begins[32]), 30);
  ASSERT_EQ(begins[8].size(), 240);
  EXPECT_EQ(different(std::span(begins[8]).first(120)), 120);
  EXPECT_EQ(different(std::span(begins[8]).last(120)), 120);
}

TEST_F(MixedWindowsTest, APartBeginsWithTheFirstWindowsOfItsOrder) {
  for (const uint64_t samples : {16, 22}) {  // the second part begins with a batch, or within one
    const uint64_t second = samples == 16 ? 4 : 6;
    const auto batch = mixed(0, samples).batch(2 * second, 2), own = loader(32).batch(0, 2);
    ASSERT_TRUE(batch && own);
    EXPECT_TRUE(at::equal(batch->ids, own->ids)) << samples;
  }
}

}  // namespace
}  // namespace phial::train
