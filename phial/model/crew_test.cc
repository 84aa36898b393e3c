#include "phial/model/crew.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <vector>

namespace phial::model {
namespace {

TEST(Crew, EveryIndexIsVisitedOnceByPiecesThatShrink) {
  for (const int threads : {1, 2, 5}) {
    ThreadPool pool(threads);
    Crew::Shared shared;
    std::vector<std::atomic<int>> visits(1001);
    std::atomic<size_t> longest = 0, last = 0;
    pool.run_team([&](Team& team) {
      Crew crew(team, shared);
      crew.share(visits.size(), {.most = 40, .least = 3}, [&](size_t begin, size_t end) {
        for (size_t i = begin; i < end; ++i) ++visits[i];
        size_t seen = longest;
        while (seen < end - begin && !longest.compare_exchange_weak(seen, end - begin)) {
        }
        if (end == visits.size()) last = end - begin;
      });
    });
    for (const auto& count : visits) EXPECT_EQ(count, 1);
    EXPECT_EQ(longest, 40);
    EXPECT_LE(last, 3);
  }
}

TEST(Crew, APhaseSeesAllOfTheOneBeforeItWhateverTheirSizes) {
  for (const int threads : {1, 2, 5}) {
    ThreadPool pool(threads);
    Crew::Shared shared;
    constexpr size_t kMost = 64;
    std::vector<int> phase_of(kMost, 0);  // not atomic: a member that runs ahead is a race, which shows under TSan
    std::atomic<bool> early = false;
    pool.run_team([&](Team& team) {
      Crew crew(team, shared);
      for (int phase = 1; phase <= 300; ++phase) {
        // One piece, several, none; each index checks its mirror image, which another member may have written.
        const size_t count = phase % 3 == 0 ? 4 : phase % 7 == 0 ? 0 : kMost;
        crew.share(count, 4, [&](size_t begin, size_t end) {
          for (size_t i = begin; i < end; ++i) {
            phase_of[i] = phase;
          }
        });
        crew.share(count, 8, [&](size_t begin, size_t end) {
          for (size_t i = begin; i < end; ++i) {
            if (phase_of[count - 1 - i] != phase) early = true;
          }
        });
      }
      crew.settle();
      if (team.index() == 0 && phase_of[kMost - 1] != 299) early = true;
    });
    EXPECT_FALSE(early);
  }
}

}  // namespace
}  // namespace phial::model
