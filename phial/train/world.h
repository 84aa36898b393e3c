// Where this process stands among those that train one model together, as its launcher tells it. No header of libtorch
// is needed to use it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>

namespace phial::train {

struct World {
  int rank = 0, size = 1;   // this process, of so many
  int on_this_machine = 1;  // processes, which share its cores
  std::string address;      // of the store at which they meet
  int port = 0;
  bool is_store_of_launcher = false;  // torchrun keeps one; else rank 0 does
  int restarts = 0;                   // how often the launcher has started them all anew
};

// What one rank has of n things in a row: [begin, end).
struct RankShare {
  int64_t begin = 0, end = 0;
  int64_t size() const { return end - begin; }
};

// Of ranks that have as many as each other, or one more.
inline RankShare share_of_rank(int64_t n, int rank, int ranks) {
  const int64_t each = n / ranks, more = n % ranks;
  const int64_t begin = rank * each + std::min<int64_t>(rank, more);
  return {begin, begin + each + (rank < more ? 1 : 0)};
}

}  // namespace phial::train
