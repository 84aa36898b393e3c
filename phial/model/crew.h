// A team's walk through the phases of one pass: each phase is a range that its members take pieces of, and no member
// starts the next before all have finished.
//
// Pieces are taken as members become free, so a core that something else disturbs holds nobody up. What is computed for
// a piece does not depend on who takes it, so results do not depend on the number of threads.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>

#include "phial/base/thread_pool.h"

namespace phial::model {

class Crew {
 public:
  // Shared by the members of one run_team. Three counters: one in use, one being left, one made ready.
  struct Shared {
    struct alignas(64) Counter {
      std::atomic<size_t> next{0};
    };
    std::array<Counter, 3> counters;
  };

  Crew(Team& team, Shared& shared) : team_(team), shared_(shared) {}

  int index() const { return team_.index(); }
  int size() const { return team_.size(); }

  // body(begin, end) over [0, count) in pieces of `grain`, then the barrier.
  template <class Body>
  void share(size_t count, size_t grain, const Body& body) {
    std::atomic<size_t>& next = shared_.counters[phase_ % 3].next;
    if (team_.index() == 0) shared_.counters[(phase_ + 1) % 3].next.store(0, std::memory_order_relaxed);
    for (;;) {
      const size_t begin = next.fetch_add(grain, std::memory_order_relaxed);
      if (begin >= count) break;
      body(begin, std::min(begin + grain, count));
    }
    team_.wait();
    ++phase_;
  }

 private:
  Team& team_;
  Shared& shared_;
  size_t phase_ = 0;
};

}  // namespace phial::model
