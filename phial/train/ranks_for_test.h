// Ranks as threads of one process, each with a group of its own. For tests.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <thread>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#include <vector>

#include "phial/train/process_group.h"

namespace phial::train {

// The store of a launcher, at a port that the system chose: no two tests can meet.
inline c10::intrusive_ptr<c10d::TCPStore> new_launcher_store() {
  c10d::TCPStoreOptions options;
  options.port = 0;
  options.isServer = true;
  options.waitWorkers = false;
  return c10::make_intrusive<c10d::TCPStore>("127.0.0.1", options);
}

inline World world_at(const c10d::TCPStore& store, int rank, int size) {
  return {.rank = rank,
          .size = size,
          .on_this_machine = size,
          .address = "127.0.0.1",
          .port = store.getPort(),
          .is_store_of_launcher = true};
}

inline void at_ranks(int size, const std::function<void(ProcessGroup&)>& body) {
  const auto store = new_launcher_store();
  std::vector<std::thread> ranks;
  for (int rank = 0; rank < size; ++rank) {
    ranks.emplace_back([&, rank] {
      auto group = ProcessGroup::join(world_at(*store, rank, size), std::chrono::seconds(60));
      ASSERT_TRUE(group) << group.error().text();
      body(*group);
    });
  }
  for (std::thread& rank : ranks) rank.join();
}

}  // namespace phial::train
