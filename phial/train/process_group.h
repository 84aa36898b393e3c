// The processes ("ranks") that train one model together: sums and copies between them, by torch.distributed's own
// engine (c10d, over gloo).
//
// Every rank calls the same functions in the same order, from one thread. Each call is a meeting: it returns when all
// ranks have made it. Sums come out with the same bits at every rank, and again in another run of as many ranks.
// Alone, a group of one, all of it is free.
// Errors: kIo when another rank has ended, hangs longer than the timeout or was never there. What was to be
// communicated is then lost, and every further call fails.
// Source: PyTorch Distributed (arXiv 2006.15704). Threads: one at a time.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "phial/base/result.h"
#include "phial/train/torch.h"
#include "phial/train/world.h"

namespace phial::train {

// Bytes that were handed over to be communicated, at this rank; what the engine sends therefor is its own affair.
struct CommunicatedBytes {
  uint64_t summed = 0;  // all-reduce
  uint64_t broadcast = 0;
  uint64_t gathered = 0;  // all-gather: of the whole
};

class ProcessGroup {
 public:
  // One process, alone.
  ProcessGroup();
  // Waits until all are there, no longer than `timeout`; later calls wait no longer either.
  static Result<ProcessGroup> join(const World& world, std::chrono::seconds timeout);

  ProcessGroup(ProcessGroup&&) noexcept;
  ProcessGroup& operator=(ProcessGroup&&) noexcept;
  ~ProcessGroup();

  int rank() const;
  int size() const;
  bool is_first() const { return rank() == 0; }
  bool is_alone() const { return size() == 1; }
  RankShare share_of(int64_t n) const { return share_of_rank(n, rank(), size()); }

  // Waits for what was started; to be called once. Until then the tensor is not to be touched.
  using Wait = std::function<Status()>;
  // Sum over the ranks, in place. All tensors are contiguous and of one shape at every rank.
  Wait start_sum(const at::Tensor& values);
  // Each rank's part of [n], to all. Promise: ranks divide n.
  Wait start_gather_parts(const at::Tensor& values);

  Status sum(std::span<double> values);
  Result<bool> is_any(bool own);
  // Each rank's number, by rank.
  Result<std::vector<int64_t>> gather(int64_t own);
  // Rank 0's, to all.
  Status broadcast(const at::Tensor& values);
  // OK if it is at every rank; else the own error, or one that names a rank that has one.
  Status agree(Status own);
  // kInvalid if the number is not the same at every rank.
  Status check_same(int64_t own, std::string_view what);

  const CommunicatedBytes& communicated() const;

 private:
  struct Engine;
  explicit ProcessGroup(std::unique_ptr<Engine> engine);
  std::unique_ptr<Engine> engine_;
};

}  // namespace phial::train
