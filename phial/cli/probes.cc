#include "phial/cli/probes.h"

#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "phial/kernels/kernels.h"

namespace phial::cli {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kPiece = 4096;  // a thread's part is whole pieces: what sum_words asks for
constexpr size_t kWordsOfPiece = kPiece / sizeof(uint32_t);

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// One thread's part of a block, in bytes.
struct Part {
  size_t begin = 0, size = 0;
};
Part part_of(size_t bytes, const Team& team) {
  const auto threads = static_cast<size_t>(team.size()), index = static_cast<size_t>(team.index());
  const size_t share = std::max<size_t>(1, bytes / kPiece / threads) * kPiece;
  return {index * share, share};
}

// Somebody might want the results: without that the compiler need not compute them.
void keep(uint32_t value) { asm volatile("" : : "r"(value)); }

}  // namespace

Result<ReadProbe> ReadProbe::make(size_t bytes, ThreadPool& pool) {
  bytes = std::max(bytes / kPiece, static_cast<size_t>(pool.threads())) * kPiece;
  void* data = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (data == MAP_FAILED) {
    return Error{Code::kOutOfRange, "the probe of memory needs " + std::to_string((bytes >> 20) + 1) + " MiB",
                 "close other programs, or leave it out with --no-probe"};
  }
  ::madvise(data, bytes, MADV_HUGEPAGE);
  ReadProbe probe(data, bytes, pool);
  pool.run_team([&](Team& team) {
    const Part part = part_of(bytes, team);
    // Not zeros, which the system may hold once for all pages.
    std::fill_n(static_cast<uint8_t*>(data) + part.begin, part.size, uint8_t{1});
  });
  return probe;
}

ReadProbe::ReadProbe(ReadProbe&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), bytes_(other.bytes_), pool_(other.pool_) {}

ReadProbe::~ReadProbe() {
  if (data_ != nullptr) ::munmap(data_, bytes_);
}

double ReadProbe::gigabytes_per_second(size_t bytes) const {
  constexpr double kTrySeconds = 0.02, kMostSeconds = 4;
  constexpr int kLeastRounds = 3;
  constexpr double kBetter = 1.005;
  bytes = std::clamp(bytes, kPiece * static_cast<size_t>(pool_.threads()), bytes_);
  // Seconds for `passes` over the bytes, from the moment when all threads are there.
  const auto seconds_of = [&](int passes, int way) {
    double seconds = 0;
    pool_.run_team([&](Team& team) {
      const Part part = part_of(bytes, team);
      const auto* from = reinterpret_cast<const uint32_t*>(static_cast<const std::byte*>(data_) + part.begin);
      team.wait();
      const auto start = Clock::now();
      for (int pass = 0; pass < passes; ++pass) {
        keep(kernels::active().sum_words(from, part.size / kPiece * kWordsOfPiece, way));
      }
      team.wait();
      if (team.index() == 0) seconds = seconds_since(start);
    });
    return seconds;
  };
  const auto threads = static_cast<size_t>(pool_.threads());
  const size_t read = bytes / kPiece / threads * kPiece * threads;
  int passes = 1;
  while (seconds_of(passes, 0) < kTrySeconds) passes *= 2;
  const auto start = Clock::now();
  double best = 0;
  for (int round = 0; round < kLeastRounds || seconds_since(start) < kMostSeconds; ++round) {
    const double before = best;
    for (int way = 0; way < kernels::kReadWays; ++way) {
      best = std::max(best, static_cast<double>(read) * passes / seconds_of(passes, way) / 1e9);
    }
    if (round + 1 >= kLeastRounds && best < before * kBetter) break;
  }
  return best;
}

double int8_giga_operations_per_second(ThreadPool& pool) {
  constexpr double kTrySeconds = 0.05;
  constexpr int kTries = 6;
  constexpr size_t kRounds = 20000;  // some tens of microseconds
  double best = 0;
  for (int i = 0; i < kTries; ++i) {
    std::vector<double> rates(static_cast<size_t>(pool.threads()), 0);
    pool.run_team([&](Team& team) {
      team.wait();
      const auto start = Clock::now();
      uint64_t multiply_adds = 0;
      double seconds = 0;
      while (seconds < kTrySeconds) {
        uint32_t total = 0;
        multiply_adds += kernels::active().multiply_bytes(kRounds, &total);
        keep(total);
        seconds = seconds_since(start);
      }
      rates[static_cast<size_t>(team.index())] = 2 * static_cast<double>(multiply_adds) / seconds / 1e9;
    });
    double sum = 0;
    for (const double rate : rates) sum += rate;
    best = std::max(best, sum);
  }
  return best;
}

}  // namespace phial::cli
