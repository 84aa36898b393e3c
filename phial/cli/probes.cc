#include "phial/cli/probes.h"

#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "phial/kernels/kernels.h"

namespace phial::cli {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// Zeroed memory in huge pages where the system has them, as the weights are.
class Pages {
 public:
  explicit Pages(size_t bytes) : bytes_(bytes) {
    data_ = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (data_ == MAP_FAILED) {
      bytes_ = 0;
    } else {
      ::madvise(data_, bytes, MADV_HUGEPAGE);
    }
  }
  ~Pages() {
    if (bytes_ > 0) ::munmap(data_, bytes_);
  }
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;
  std::span<float> floats() const { return {static_cast<float*>(data_), bytes_ / sizeof(float)}; }

 private:
  size_t bytes_;
  void* data_ = nullptr;
};

}  // namespace

double read_gigabytes_per_second(ThreadPool& pool) {
  constexpr size_t kBytes = size_t{512} << 20;
  constexpr size_t kRow = 1024;  // floats
  constexpr int kPasses = 5;
  const Pages pages(kBytes);
  const std::span<float> all = pages.floats();
  if (all.empty()) return 0;
  const size_t rows = all.size() / kRow;
  std::vector<float> query(kRow, 1.0F), dots(rows);
  const size_t share = (rows + static_cast<size_t>(pool.threads()) - 1) / static_cast<size_t>(pool.threads());
  const auto over_my_rows = [&](const auto& body) {
    pool.run_team([&](Team& team) {
      const size_t begin = std::min(rows, share * static_cast<size_t>(team.index()));
      body(begin, std::min(rows, begin + share) - begin);
    });
  };
  // Touched by the thread that reads it, and not with zeros, which the system may hold once for all pages.
  over_my_rows([&](size_t begin, size_t count) { std::fill_n(all.data() + begin * kRow, count * kRow, 0.5F); });
  double best = 0;
  for (int pass = 0; pass < kPasses; ++pass) {
    const auto start = Clock::now();
    over_my_rows([&](size_t begin, size_t count) {
      kernels::active().dot_rows(query.data(), all.data() + begin * kRow, count, kRow, dots.data() + begin);
    });
    best = std::max(best, static_cast<double>(all.size_bytes()) / seconds_since(start) / 1e9);
  }
  return best;
}

double int8_giga_operations_per_second(ThreadPool& pool) {
  constexpr size_t kBlocks = 32, kTileRows = 4, kTokens = 64;  // 68 kB of weights, 82 kB of activations
  constexpr double kSeconds = 0.2;
  std::vector<double> rates(static_cast<size_t>(pool.threads()), 0);
  pool.run_team([&](Team& team) {
    std::vector<kernels::Q8Tile> weights(kBlocks * kTileRows);
    std::vector<kernels::Q8Block> tokens(kBlocks * kTokens);
    for (auto& tile : weights) {
      std::fill(std::begin(tile.scale), std::end(tile.scale), uint16_t{0x2C00});  // 1/16 in f16
      std::memset(tile.q, 3, sizeof tile.q);
    }
    for (auto& block : tokens) {
      block.scale = 0.01F;
      block.sum = 2 * kernels::kBlock;
      std::memset(block.q, 2, sizeof block.q);
    }
    std::vector<float> out(kTokens * kTileRows * kernels::kTileRows);
    const kernels::GemmArgs args{.blocks = kBlocks,
                                 .tile_rows = kTileRows,
                                 .n_tokens = kTokens,
                                 .x = tokens.data(),
                                 .x_stride = kBlocks,
                                 .y = out.data(),
                                 .y_stride = kTileRows * kernels::kTileRows};
    constexpr double kOperations = 2.0 * kBlocks * kernels::kBlock * kTileRows * kernels::kTileRows * kTokens;
    team.wait();
    const auto start = Clock::now();
    int64_t runs = 0;
    while (seconds_since(start) < kSeconds) {
      for (int i = 0; i < 8; ++i, ++runs) kernels::active().gemm_q8(weights.data(), args);
    }
    rates[static_cast<size_t>(team.index())] = kOperations * static_cast<double>(runs) / seconds_since(start) / 1e9;
  });
  double sum = 0;
  for (const double rate : rates) sum += rate;
  return sum;
}

}  // namespace phial::cli
