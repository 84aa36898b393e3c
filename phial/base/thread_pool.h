// The threads of the program: made once at its entry, handed down by reference.
//
// parallel_for cuts a range into pieces whose borders depend only on `grain`, never on the number of threads, so that
// results do not either. run_team starts one body on every thread and lets them meet at a barrier: one team serves a
// whole decoding step, because waking threads costs more than a layer's norm.
//
// Threads: one caller at a time; bodies must not call back into the pool. The calling thread takes part in the work.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>

namespace phial {

// The members of one team. wait() returns once every member has called it; it spins briefly and then sleeps.
class Team {
 public:
  int index() const { return index_; }
  int size() const { return size_; }
  void wait() {
    wait([] {});
  }
  // The same; the member that calls it last runs `last` before any goes on. One barrier instead of two around what is
  // too little to be shared. `last` must not throw: the others wait for it.
  template <class Last>
  void wait(const Last& last) {
    if (!arrive()) return;
    last();
    release();
  }

 private:
  friend class ThreadPool;
  struct Barrier;
  // True at once for the member that comes last, which must release() the others; false for them once it has.
  bool arrive();
  void release();
  Team(int index, int size, Barrier* barrier) : index_(index), size_(size), barrier_(barrier) {}
  int index_, size_;
  Barrier* barrier_;
};

class ThreadPool {
 public:
  // `threads` in all, the caller included; at least 1. Fewer where the system gives no more.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const;

  // body(begin, end) over [0, count) in pieces of `grain`.
  void parallel_for(size_t count, size_t grain, const std::function<void(size_t, size_t)>& body);

  // body(team) once on each thread.
  void run_team(const std::function<void(Team&)>& body);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// The physical cores that this process may use (affinity and container limits respected), at least 1.
int usable_cores();

}  // namespace phial
