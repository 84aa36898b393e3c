#include "phial/train/process_group.h"

#include <gtest/gtest.h>

#include "phial/train/ranks_for_test.h"

namespace phial::train {
namespace {

TEST(RankShare, DividesWhatThereIsWithAtMostOneMore) {
  for (const int64_t n : {0, 1, 3, 4, 7, 100}) {
    int64_t next = 0;
    for (int rank = 0; rank < 4; ++rank) {
      const RankShare share = share_of_rank(n, rank, 4);
      EXPECT_EQ(share.begin, next);
      EXPECT_TRUE(share.size() == n / 4 || share.size() == n / 4 + 1);
      next = share.end;
    }
    EXPECT_EQ(next, n);
  }
}

TEST(ProcessGroup, AloneHasNobodyToAsk) {
  ProcessGroup group;
  EXPECT_TRUE(group.is_alone());
  double value = 7;
  ASSERT_TRUE(group.sum({&value, 1}));
  EXPECT_EQ(value, 7);
  EXPECT_FALSE(*group.is_any(false));
  EXPECT_TRUE(*group.is_any(true));
  EXPECT_EQ(*group.gather(5), std::vector<int64_t>{5});
  EXPECT_EQ(group.agree(Error{Code::kIo, "full", ""}).error().message, "full");
  EXPECT_TRUE(group.check_same(3, "data"));
}

TEST(ProcessGroup, SumsPartsAndCopiesBetweenRanks) {
  at_ranks(4, [](ProcessGroup& group) {
    const at::Tensor all = at::full({3}, group.rank() + 1.0F);
    ASSERT_TRUE(group.start_sum(all)());
    EXPECT_TRUE(all.equal(at::full({3}, 10.0F)));

    const at::Tensor parts = at::full({8}, static_cast<float>(group.rank()));
    ASSERT_TRUE(group.start_gather_parts(parts)());
    EXPECT_TRUE(parts.equal(at::arange(4, at::kFloat).repeat_interleave(2))) << parts;

    const at::Tensor first = at::full({2}, static_cast<float>(group.rank()));
    ASSERT_TRUE(group.broadcast(first));
    EXPECT_TRUE(first.equal(at::zeros({2})));
    EXPECT_EQ(*group.gather(10 * group.rank()), (std::vector<int64_t>{0, 10, 20, 30}));

    EXPECT_EQ(group.communicated().summed, 12U + 32U);
    EXPECT_EQ(group.communicated().gathered, 32U);
  });
}

TEST(ProcessGroup, WhatOneRankCannotDoIsAnErrorAtAll) {
  at_ranks(2, [](ProcessGroup& group) {
    EXPECT_TRUE(*group.is_any(group.rank() == 1));
    EXPECT_FALSE(*group.is_any(false));
    const Status agreed = group.agree(group.rank() == 1 ? Error{Code::kIo, "the disk is full", ""} : ok());
    ASSERT_FALSE(agreed);
    EXPECT_EQ(agreed.error().message, group.rank() == 1 ? "the disk is full" : "rank 1 could not go on");
    const Status same = group.check_same(group.rank(), "data file");
    ASSERT_FALSE(same);
    EXPECT_EQ(same.error().message, "rank 1 has another data file than rank 0");
    EXPECT_TRUE(group.agree(ok()));
  });
}

TEST(ProcessGroup, ARankThatLeavesIsAnErrorOfOneLineForTheOthers) {
  at_ranks(4, [](ProcessGroup& group) {
    if (group.rank() == 2) {
      group = ProcessGroup();
      return;
    }
    double value = 1;
    const Status status = group.sum({&value, 1});
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().code, Code::kIo);
    const std::string own = "rank " + std::to_string(group.rank()) + " of 4 lost the others: ";
    EXPECT_TRUE(status.error().message.starts_with(own)) << status.error().text();
    EXPECT_EQ(status.error().text().find('\n'), std::string::npos);
    group = ProcessGroup();  // as a process that ends
  });
}

TEST(ProcessGroup, ThatNeverMeetsIsAnErrorThatNamesThePlace) {
  const auto store = new_launcher_store();
  const auto group = ProcessGroup::join(world_at(*store, 0, 2), std::chrono::seconds(1));
  ASSERT_FALSE(group);
  EXPECT_EQ(group.error().code, Code::kIo);
  EXPECT_NE(group.error().message.find("127.0.0.1:" + std::to_string(store->getPort())), std::string::npos);
}

}  // namespace
}  // namespace phial::train
