// ThreadPool where there are no threads (WebAssembly): the caller does all the work.
#include <algorithm>

#include "phial/base/check.h"
#include "phial/base/thread_pool.h"

namespace phial {

struct Team::Barrier {};
struct ThreadPool::State {};

bool Team::arrive() { return barrier_ == nullptr; }  // always: there is nobody to wait for
void Team::release() {}

ThreadPool::ThreadPool(int) {}
ThreadPool::~ThreadPool() = default;

int ThreadPool::threads() const { return 1; }

void ThreadPool::parallel_for(size_t count, size_t grain, const std::function<void(size_t, size_t)>& body) {
  PHIAL_CHECK(grain > 0);
  for (size_t begin = 0; begin < count; begin += grain) body(begin, std::min(begin + grain, count));
}

void ThreadPool::run_team(const std::function<void(Team&)>& body) {
  Team team(0, 1, nullptr);
  body(team);
}

int usable_cores() { return 1; }

}  // namespace phial
