// What this machine can do at best, to set a model's speed against.
//
// Both run kernels made for measuring (KernelSet::sum_words, multiply_bytes) of the set in use, on all threads of the
// pool. They are upper bounds: reading without computing, computing without reading. Each figure is the best of several
// tries, since whatever else runs meanwhile can only take from it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "phial/base/result.h"
#include "phial/base/thread_pool.h"

namespace phial::cli {

// A block of memory to read, in huge pages where the system has them, as the weights are.
class ReadProbe {
 public:
  // Takes `bytes`, at least a page a thread, and touches them, each part by the thread that will read it.
  // kOutOfMemory if the machine has no room. `pool` outlives the probe.
  static Result<ReadProbe> make(size_t bytes, ThreadPool& pool);
  ReadProbe(ReadProbe&& other) noexcept;
  ReadProbe& operator=(ReadProbe&&) = delete;
  ~ReadProbe();

  // 1e9 bytes a second, all threads reading the first `bytes` of the block (all of it, if it has less) over and over,
  // each its own part from end to end. A set of bytes that the caches hold in part is read faster than memory; so give
  // as many as what the figure is compared with. The best of all ways (kernels::kReadWays), until a round of them finds
  // nothing better: half a second to some seconds.
  double gigabytes_per_second(size_t bytes) const;

  size_t bytes() const { return bytes_; }

 private:
  ReadProbe(void* data, size_t bytes, ThreadPool& pool) : data_(data), bytes_(bytes), pool_(pool) {}

  void* data_;
  size_t bytes_;
  ThreadPool& pool_;
};

// 8-bit multiply-adds, counted as two operations, in 1e9 a second.
double int8_giga_operations_per_second(ThreadPool& pool);

}  // namespace phial::cli
