// How fast each set of kernels is in WebAssembly beside the plain loops, in the engine that runs this: one JSON object
// a kernel. (Debian has Google Benchmark for its own processors only.) The sets take turns, and the fastest of each
// counts.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "phial/kernels/kernels.h"

namespace phial::kernels {
namespace {

constexpr int kTurns = 60;
constexpr double kSecondsATurn = 0.001;  // shorter than a turn of the processor on a busy machine

double seconds_of(const std::function<void()>& body) {
  const auto begin = std::chrono::steady_clock::now();
  body();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

// `multiply_adds` 0: none are counted.
void measure(const char* kernel, const std::string& shape, double multiply_adds,
             const std::function<void(const KernelSet&)>& run) {
  std::vector<double> best(runnable().size(), 1e9);
  std::vector<int> calls;
  for (const KernelSet* set : runnable()) {
    const double once = seconds_of([&] { run(*set); });
    calls.push_back(once > kSecondsATurn ? 1 : static_cast<int>(kSecondsATurn / once) + 1);
  }
  for (int turn = 0; turn < kTurns; ++turn) {
    for (size_t i = 0; i < best.size(); ++i) {
      const double took = seconds_of([&] {
        for (int call = 0; call < calls[i]; ++call) run(*runnable()[i]);
      });
      best[i] = std::min(best[i], took / calls[i]);
    }
  }
  std::printf("{\"kernel\": \"%s\", \"shape\": \"%s\"", kernel, shape.c_str());
  for (size_t i = 0; i < best.size(); ++i) {
    const char* name = runnable()[i]->name;
    std::printf(", \"%s_us\": %.1f", name, 1e6 * best[i]);
    if (multiply_adds > 0) std::printf(", \"%s_gops\": %.2f", name, 2e-9 * multiply_adds / best[i]);
    if (i > 0) std::printf(", \"%s_times_scalar\": %.2f", name, best[0] / best[i]);
  }
  std::printf("}\n");
  std::fflush(stdout);
}

std::vector<float> numbers(size_t n) {
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  std::vector<float> out(n);
  for (float& x : out) x = normal(random);
  return out;
}

// Any bytes but -128, which no kernel is given, the scales moderate halfs.
template <class T>
std::vector<T> random_bytes(size_t n) {
  std::vector<T> out(n);
  auto* words = reinterpret_cast<uint16_t*>(out.data());
  std::minstd_rand random(1);
  for (size_t i = 0; i < n * sizeof(T) / 2; ++i) {
    const auto word = static_cast<uint16_t>(0x2000 | (random() & 0x9FFF));  // its upper byte is never 0x80
    words[i] = (word & 0xFF) == 0x80 ? word | 1 : word;
  }
  return out;
}

template <class Tile>
void products(const char* kernel, void (*KernelSet::*product)(const Tile*, const GemmArgs&)) {
  constexpr size_t kRows = 64, kColumns = 512, kBlocks = kColumns / kBlock;
  const auto w = random_bytes<Tile>(kRows / kTileRows * kBlocks);
  for (const size_t n_tokens : {1, 4, 16}) {
    std::vector<Q8Block> x(n_tokens * kBlocks);
    runnable().front()->quantize_q8(numbers(n_tokens * kColumns).data(), x.size(), x.data());
    std::vector<float> y(n_tokens * kRows);
    const GemmArgs args = {.blocks = kBlocks,
                           .tile_rows = kRows / kTileRows,
                           .n_tokens = n_tokens,
                           .x = x.data(),
                           .x_stride = kBlocks,
                           .y = y.data(),
                           .y_stride = kRows};
    measure(kernel, "64x512x" + std::to_string(n_tokens), static_cast<double>(kRows * kColumns * n_tokens),
            [&](const KernelSet& set) { (set.*product)(w.data(), args); });
  }
}

template <class Row>
void attention(const char* scores_name, const char* mix_name, size_t width,
               void (*KernelSet::*scores)(const float*, size_t, size_t, const KvRows<Row>&, size_t, float, float*,
                                          size_t),
               void (*KernelSet::*mix)(const float*, size_t, size_t, const KvRows<Row>&, size_t, float*, size_t)) {
  constexpr size_t kHead = 96, kKeys = 64;
  const auto rows = random_bytes<Row>(kKeys * width);
  const KvRows<Row> keys = {rows.data(), width, kKeys};
  for (const size_t n_queries : {1, 8}) {
    const auto q = numbers(n_queries * kHead), weights = numbers(n_queries * kKeys);
    std::vector<float> found(n_queries * kKeys), out(n_queries * kHead);
    const std::string shape = "96x64x" + std::to_string(n_queries);
    const auto n = static_cast<double>(kHead * kKeys * n_queries);
    measure(scores_name, shape, n, [&](const KernelSet& set) {
      (set.*scores)(q.data(), kHead, n_queries, keys, kHead, 0.1F, found.data(), kKeys);
    });
    measure(mix_name, shape, n, [&](const KernelSet& set) {
      (set.*mix)(weights.data(), kKeys, n_queries, keys, kHead, out.data(), kHead);
    });
  }
}

void all() {
  products("gemm_q4", &KernelSet::gemm_q4);
  products("gemm_q4_min", &KernelSet::gemm_q4_min);
  products("gemm_q8", &KernelSet::gemm_q8);
  products("gemm_phial_q4", &KernelSet::gemm_phial_q4);
  products("gemm_phial_q3", &KernelSet::gemm_phial_q3);

  const auto w = numbers(size_t{96} * 96), x = numbers(size_t{8} * 96);
  std::vector<float> y(size_t{8} * 96);
  measure("gemm_f32", "96x96x8", 96.0 * 96 * 8, [&](const KernelSet& set) {
    set.gemm_f32(
        w.data(),
        {.D = 96, .tile_rows = 6, .n_tokens = 8, .x = x.data(), .x_stride = 96, .y = y.data(), .y_stride = 96});
  });

  attention<uint16_t>("scores_f16", "mix_f16", 96, &KernelSet::scores_f16, &KernelSet::mix_f16);
  attention<KvQ8>("scores_q8", "mix_q8", 3, &KernelSet::scores_q8, &KernelSet::mix_q8);
  attention<KvQ4>("scores_q4", "mix_q4", 3, &KernelSet::scores_q4, &KernelSet::mix_q4);

  const auto floats = numbers(4096), gain = numbers(4096);
  std::vector<float> out(4096);
  std::vector<Q8Block> blocks(4096 / kBlock);
  measure("softmax", "4096", 0, [&](const KernelSet& set) {
    out = floats;
    set.softmax(out.data(), out.size());
  });
  measure("rmsnorm", "4096", 0,
          [&](const KernelSet& set) { set.rmsnorm(floats.data(), gain.data(), 4096, 1e-5F, out.data()); });
  measure("silu_mul", "4096", 0,
          [&](const KernelSet& set) { set.silu_mul(floats.data(), gain.data(), 4096, out.data()); });
  measure("quantize_q8", "4096", 0,
          [&](const KernelSet& set) { set.quantize_q8(floats.data(), blocks.size(), blocks.data()); });
}

}  // namespace
}  // namespace phial::kernels

int main() { phial::kernels::all(); }
