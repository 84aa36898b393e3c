// A team's walk through the phases of one pass: each phase is a range that its members take pieces of, and no member
// starts the next before all have finished. Between two phases stands one barrier; a phase of a single piece is done by
// whoever comes last to the barrier before it, and needs none of its own.
//
// Pieces are taken as members become free, so a core that something else disturbs holds nobody up; where they may
// shrink, the last ones are small, so that all finish together. What is computed for a piece does not depend on who
// takes it, so results do not depend on the number of threads.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>

#include "phial/base/thread_pool.h"

namespace phial::model {

// How a range is cut: pieces of `most`, and towards its end smaller ones, down to `least`.
struct Pieces {
  size_t most = 1, least = 1;
};

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

  // body(begin, end) over [0, count), once what was shared before is done. Others may still be at it when this returns:
  // what is not shared itself waits for settle().
  template <class Body>
  void share(size_t count, Pieces pieces, const Body& body) {
    if (count == 0) return;
    if (count <= pieces.least) {
      team_.wait([&] { body(size_t{0}, count); });
      is_settled_ = true;
      return;
    }
    settle();
    is_settled_ = false;
    std::atomic<size_t>& next = shared_.counters[phase_ % 3].next;
    if (team_.index() == 0) shared_.counters[(phase_ + 1) % 3].next.store(0, std::memory_order_relaxed);
    for (;;) {
      size_t begin = next.load(std::memory_order_relaxed), end = count;
      while (begin < count) {
        end = begin + taken(count - begin, pieces);
        if (next.compare_exchange_weak(begin, end, std::memory_order_relaxed)) break;
      }
      if (begin >= count) break;
      body(begin, end);
    }
    ++phase_;
  }
  template <class Body>
  void share(size_t count, size_t grain, const Body& body) {
    share(count, {.most = grain, .least = grain}, body);
  }

  // All that was shared is done.
  void settle() {
    if (!is_settled_) team_.wait();
    is_settled_ = true;
  }

 private:
  size_t taken(size_t left, const Pieces& pieces) const {
    const size_t even = left / (2 * static_cast<size_t>(team_.size()));
    return std::min(left, std::clamp(even, pieces.least, pieces.most));
  }

  Team& team_;
  Shared& shared_;
  size_t phase_ = 0;
  bool is_settled_ = true;
};

}  // namespace phial::model
