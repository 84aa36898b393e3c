// Workers sleep on a condition variable between jobs and, inside a job, meet at a barrier that spins for some
// microseconds before it sleeps: a decoding step has hundreds of barriers a few microseconds apart, while
// a machine with fewer free cores than threads must not burn them in waiting.

#include "phial/base/thread_pool.h"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "phial/base/check.h"

namespace phial {
namespace {

inline void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Longer than members are apart on an idle machine. Where another program wants a core, whoever waits for a member that
// lost its own keeps it from coming back: with 150 microseconds decoding was three times slower there, and no faster
// where nothing else ran.
constexpr std::chrono::microseconds kPatience(10);
constexpr int kSpinsPerLook = 16;  // at the clock

}  // namespace

struct Team::Barrier {
  std::atomic<int> arrived{0};
  std::atomic<uint32_t> phase{0};
};

void Team::release() {
  if (size_ == 1) return;
  barrier_->arrived.store(0, std::memory_order_relaxed);
  barrier_->phase.fetch_add(1, std::memory_order_release);
  barrier_->phase.notify_all();
}

bool Team::arrive() {
  if (size_ == 1) return true;
  const uint32_t phase = barrier_->phase.load(std::memory_order_acquire);
  if (barrier_->arrived.fetch_add(1, std::memory_order_acq_rel) == size_ - 1) return true;
  const auto patience = std::chrono::steady_clock::now() + kPatience;
  do {
    for (int spin = 0; spin < kSpinsPerLook; ++spin) {
      if (barrier_->phase.load(std::memory_order_acquire) != phase) return false;
      relax();
    }
  } while (std::chrono::steady_clock::now() < patience);
  barrier_->phase.wait(phase, std::memory_order_acquire);
  return false;
}

struct ThreadPool::State {
  std::mutex mutex;
  std::condition_variable wake, finished;
  const std::function<void(int)>* job = nullptr;
  uint64_t generation = 0;
  int running = 0;
  bool stopping = false;
  int threads = 1;
  std::vector<std::thread> workers;

  void work(int index) {
    uint64_t seen = 0;
    std::unique_lock lock(mutex);
    for (;;) {
      wake.wait(lock, [&] { return stopping || generation != seen; });
      if (stopping) return;
      seen = generation;
      const auto* current = job;
      lock.unlock();
      (*current)(index);
      lock.lock();
      if (--running == 0) finished.notify_one();
    }
  }

  void run(const std::function<void(int)>& body) {
    if (threads == 1) {
      body(0);
      return;
    }
    {
      const std::lock_guard lock(mutex);
      PHIAL_CHECK(running == 0);  // one caller at a time
      job = &body;
      running = threads - 1;
      ++generation;
    }
    wake.notify_all();
    body(0);
    std::unique_lock lock(mutex);
    finished.wait(lock, [&] { return running == 0; });
  }
};

ThreadPool::ThreadPool(int threads) : state_(std::make_unique<State>()) {
  const int wanted = std::max(1, threads);
  state_->workers.reserve(static_cast<size_t>(wanted));
  bool is_limited = false;  // by the system, in threads or memory: those that run do the work of all
  while (state_->threads < wanted && !is_limited) {
    try {
      state_->workers.emplace_back([state = state_.get(), i = state_->threads] { state->work(i); });
      ++state_->threads;
    } catch (const std::exception&) {
      is_limited = true;
    }
  }
}

ThreadPool::~ThreadPool() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->stopping = true;
  }
  state_->wake.notify_all();
  for (std::thread& worker : state_->workers) worker.join();
}

int ThreadPool::threads() const { return state_->threads; }

void ThreadPool::parallel_for(size_t count, size_t grain, const std::function<void(size_t, size_t)>& body) {
  PHIAL_CHECK(grain > 0);
  if (count <= grain) {
    if (count > 0) body(0, count);
    return;
  }
  std::atomic<size_t> next{0};
  state_->run([&](int) {
    for (;;) {
      const size_t begin = next.fetch_add(grain, std::memory_order_relaxed);
      if (begin >= count) return;
      body(begin, std::min(begin + grain, count));
    }
  });
}

void ThreadPool::run_team(const std::function<void(Team&)>& body) {
  Team::Barrier barrier;
  state_->run([&](int index) {
    Team team(index, state_->threads, &barrier);
    body(team);
  });
}

int usable_cores() {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (::sched_getaffinity(0, sizeof allowed, &allowed) != 0) {
    return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  }
  // Two hyperthreads of a core share its arithmetic, so a core counts once: by the list of its siblings.
  std::set<std::string> cores;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &allowed)) continue;
    std::ifstream file("/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/thread_siblings_list");
    std::string siblings;
    if (!std::getline(file, siblings)) siblings = std::to_string(cpu);
    cores.insert(siblings);
  }
  int limit = std::max(1, static_cast<int>(cores.size()));

  // A container's share of processor time (cgroup v2: "quota period").
  std::ifstream quota_file("/sys/fs/cgroup/cpu.max");
  int64_t quota = 0, period = 0;
  if (quota_file >> quota >> period && quota > 0 && period > 0) {
    limit = std::min<int>(limit, static_cast<int>(std::max<int64_t>(1, (quota + period - 1) / period)));
  }
  return limit;
}

}  // namespace phial
