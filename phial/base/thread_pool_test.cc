#include "phial/base/thread_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <vector>

namespace phial {
namespace {

TEST(ThreadPool, EveryIndexIsVisitedOnceWhateverTheNumberOfThreads) {
  for (const int threads : {1, 2, 7}) {
    ThreadPool pool(threads);
    std::vector<std::atomic<int>> visits(1000);
    pool.parallel_for(visits.size(), 7, [&](size_t begin, size_t end) {
      for (size_t i = begin; i < end; ++i) ++visits[i];
    });
    for (const auto& count : visits) EXPECT_EQ(count, 1);
  }
}

TEST(ThreadPool, PiecesBeginAtMultiplesOfTheGrain) {
  ThreadPool pool(3);
  std::atomic<bool> aligned = true;
  pool.parallel_for(100, 8, [&](size_t begin, size_t end) {
    if (begin % 8 != 0 || (end - begin != 8 && end != 100)) aligned = false;
  });
  EXPECT_TRUE(aligned);
}

TEST(ThreadPool, AnEmptyRangeRunsNothing) {
  ThreadPool pool(2);
  pool.parallel_for(0, 1, [](size_t, size_t) { FAIL(); });
}

TEST(ThreadPool, NobodyPassesTheBarrierBeforeAllHaveCome) {
  for (const int threads : {1, 2, 5}) {
    ThreadPool pool(threads);
    std::atomic<int> arrived = 0;
    std::atomic<bool> early = false;
    pool.run_team([&](Team& team) {
      for (int round = 1; round <= 200; ++round) {
        ++arrived;
        team.wait();
        if (arrived < round * team.size()) early = true;
        team.wait();
      }
    });
    EXPECT_FALSE(early);
    EXPECT_EQ(arrived, 200 * threads);
  }
}

TEST(ThreadPool, TheMachineHasAtLeastOneCore) { EXPECT_GE(usable_cores(), 1); }

}  // namespace
}  // namespace phial
