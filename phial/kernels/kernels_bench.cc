// label: <op>/<isa>/<shape>. Bytes a second are of weights, keys or rows, to be read against `read_memory`, which is
// what one thread can get; operations a second (GOPS: one multiply-add is two) against the peak of the byte or float
// units.
#include <benchmark/benchmark.h>
#include <sys/mman.h>

#include <cstring>
#include <functional>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "phial/kernels/kernels.h"

namespace phial::kernels {
namespace {

// Zeroed memory in huge pages where the system has them, as the weights of a model lie.
template <class T>
class Weights {
 public:
  explicit Weights(size_t n) : n_(n) {
    constexpr size_t kHuge = size_t{2} << 20;
    const size_t bytes = (n * sizeof(T) + kHuge - 1) / kHuge * kHuge;
    data_.reset(static_cast<T*>(std::aligned_alloc(kHuge, bytes)));
    madvise(data_.get(), bytes, MADV_HUGEPAGE);
    // Moderate halfs and floats: infinite scales would be slow for no reason. Two megabytes of them, repeated.
    auto* words = reinterpret_cast<uint16_t*>(data_.get());
    std::minstd_rand random(1);
    for (size_t i = 0; i < kHuge / 2; ++i) words[i] = static_cast<uint16_t>(0x2000 | (random() & 0x9FFF));
    for (size_t i = kHuge; i < bytes; i += kHuge) std::memcpy(reinterpret_cast<char*>(words) + i, words, kHuge);
  }
  const T* get() const { return data_.get(); }
  size_t bytes() const { return n_ * sizeof(T); }

 private:
  struct Free {
    void operator()(T* p) const { std::free(p); }
  };
  std::unique_ptr<T, Free> data_;
  size_t n_;
};

std::vector<float> numbers(size_t n) {
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  std::vector<float> out(n);
  for (float& x : out) x = normal(random);
  return out;
}

void count(benchmark::State& state, size_t bytes, double multiply_adds) {
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * bytes));
  state.counters["GOPS"] =
      benchmark::Counter(2e-9 * multiply_adds * static_cast<double>(state.iterations()), benchmark::Counter::kIsRate);
}

void read_memory(benchmark::State& state) {
  const Weights<uint64_t> data(size_t{32} << 20);
  for (auto _ : state) {
    uint64_t sums[8] = {};
    for (size_t i = 0; i < size_t{32} << 20; i += 8) {
      for (size_t j = 0; j < 8; ++j) sums[j] ^= data.get()[i + j];
    }
    benchmark::DoNotOptimize(sums);
  }
  count(state, data.bytes(), 0);
}

template <class Tile>
void gemm(benchmark::State& state, void (*product)(const Tile*, const GemmArgs&), size_t rows, size_t columns,
          size_t n_tokens) {
  const size_t blocks = columns / kBlock;
  const Weights<Tile> w(rows / kTileRows * blocks);
  std::vector<Q8Block> x(n_tokens * blocks);
  runnable().front()->quantize_q8(numbers(n_tokens * columns).data(), x.size(), x.data());
  std::vector<float> y(n_tokens * rows);
  for (auto _ : state) {
    product(w.get(), {.blocks = blocks,
                      .tile_rows = rows / kTileRows,
                      .n_tokens = n_tokens,
                      .x = x.data(),
                      .x_stride = blocks,
                      .y = y.data(),
                      .y_stride = rows});
    benchmark::DoNotOptimize(y.data());
  }
  count(state, w.bytes(), static_cast<double>(rows) * static_cast<double>(columns * n_tokens));
}

void gemm_f32(benchmark::State& state, const KernelSet* isa, size_t rows, size_t columns, size_t n_tokens) {
  const Weights<float> w(rows * columns);
  const auto x = numbers(n_tokens * columns);
  std::vector<float> y(n_tokens * rows);
  for (auto _ : state) {
    isa->gemm_f32(w.get(), {.D = columns,
                            .tile_rows = rows / kTileRows,
                            .n_tokens = n_tokens,
                            .x = x.data(),
                            .x_stride = columns,
                            .y = y.data(),
                            .y_stride = rows});
    benchmark::DoNotOptimize(y.data());
  }
  count(state, w.bytes(), static_cast<double>(rows) * static_cast<double>(columns * n_tokens));
}

// One head after the other of a cache of 32, `width` numbers or blocks a row; rows of a head lie side by side.
template <class Row, class Kernel>
void scores_of(benchmark::State& state, Kernel kernel, size_t width, size_t E, size_t n_keys, size_t n_queries) {
  const Weights<Row> cache(32 * n_keys * width);
  const auto q = numbers(n_queries * E);
  std::vector<float> scores(n_queries * n_keys);
  size_t head = 0;
  for (auto _ : state) {
    const Row* keys = cache.get() + n_keys * width * (head++ % 32);
    kernel(q.data(), E, n_queries, {keys, width, n_keys}, E, 0.1F, scores.data(), n_keys);
    benchmark::DoNotOptimize(scores.data());
  }
  count(state, n_keys * width * sizeof(Row), static_cast<double>(n_queries) * static_cast<double>(n_keys * E));
}

template <class Row, class Kernel>
void mix_of(benchmark::State& state, Kernel kernel, size_t width, size_t E, size_t n_keys, size_t n_queries) {
  const Weights<Row> cache(32 * n_keys * width);
  const std::vector<float> weights(n_queries * n_keys, 0.01F);
  std::vector<float> out(n_queries * E);
  size_t head = 0;
  for (auto _ : state) {
    const Row* values = cache.get() + n_keys * width * (head++ % 32);
    kernel(weights.data(), n_keys, n_queries, {values, width, n_keys}, E, out.data(), E);
    benchmark::DoNotOptimize(out.data());
  }
  count(state, n_keys * width * sizeof(Row), static_cast<double>(n_queries) * static_cast<double>(n_keys * E));
}

void over_floats(benchmark::State& state, size_t n, const std::function<void(float*)>& kernel) {
  const auto x = numbers(n);
  auto y = x;
  for (auto _ : state) {
    std::memcpy(y.data(), x.data(), n * sizeof(float));
    kernel(y.data());
    benchmark::DoNotOptimize(y.data());
  }
  count(state, n * sizeof(float), 0);
}

void register_set(const KernelSet* isa) {
  const auto label = [&](const std::string& op, const std::string& shape) {
    return op + "/" + isa->name + "/" + shape;
  };
  const auto add = [](const std::string& name, const auto& body) {
    benchmark::RegisterBenchmark(name.c_str(), body)->MinTime(0.3);
  };
  for (const size_t n_tokens : {1, 4, 8, 16, 64, 256}) {
    // A slice that stays in the second-level cache, a matrix of Phi-3-mini, and more than any cache holds.
    for (const size_t rows : {size_t{512}, size_t{16384}, size_t{524288}}) {
      if (rows > 512 && n_tokens > 16) continue;
      const std::string shape = std::to_string(rows) + "x3072x" + std::to_string(n_tokens);
      add(label("gemm_q4", shape), [=](auto& s) { gemm(s, isa->gemm_q4, rows, 3072, n_tokens); });
      add(label("gemm_q4_min", shape), [=](auto& s) { gemm(s, isa->gemm_q4_min, rows, 3072, n_tokens); });
      add(label("gemm_q8", shape), [=](auto& s) { gemm(s, isa->gemm_q8, rows, 3072, n_tokens); });
      add(label("gemm_phial_q4", shape), [=](auto& s) { gemm(s, isa->gemm_phial_q4, rows, 3072, n_tokens); });
      add(label("gemm_phial_q3", shape), [=](auto& s) { gemm(s, isa->gemm_phial_q3, rows, 3072, n_tokens); });
    }
    const std::string shape = "384x1536x" + std::to_string(n_tokens);
    add(label("gemm_f32", shape), [=](auto& s) { gemm_f32(s, isa, 384, 1536, n_tokens); });
    const std::string rows = "96x2048x" + std::to_string(n_tokens);
    add(label("scores_f16", rows), [=](auto& s) { scores_of<uint16_t>(s, isa->scores_f16, 96, 96, 2048, n_tokens); });
    add(label("scores_q8", rows), [=](auto& s) { scores_of<KvQ8>(s, isa->scores_q8, 3, 96, 2048, n_tokens); });
    add(label("scores_q4", rows), [=](auto& s) { scores_of<KvQ4>(s, isa->scores_q4, 3, 96, 2048, n_tokens); });
    add(label("mix_f16", rows), [=](auto& s) { mix_of<uint16_t>(s, isa->mix_f16, 96, 96, 2048, n_tokens); });
    add(label("mix_q8", rows), [=](auto& s) { mix_of<KvQ8>(s, isa->mix_q8, 3, 96, 2048, n_tokens); });
    add(label("mix_q4", rows), [=](auto& s) { mix_of<KvQ4>(s, isa->mix_q4, 3, 96, 2048, n_tokens); });
  }
  const auto ones = std::make_shared<std::vector<float>>(numbers(8192));
  add(label("softmax", "2048"), [=](auto& s) { over_floats(s, 2048, [=](float* y) { isa->softmax(y, 2048); }); });
  add(label("rmsnorm", "3072"),
      [=](auto& s) { over_floats(s, 3072, [=](float* y) { isa->rmsnorm(y, ones->data(), 3072, 1e-5F, y); }); });
  add(label("silu_mul", "8192"),
      [=](auto& s) { over_floats(s, 8192, [=](float* y) { isa->silu_mul(y, ones->data(), 8192, y); }); });
  add(label("gelu", "1536"), [=](auto& s) { over_floats(s, 1536, [=](float* y) { isa->gelu(y, 1536); }); });
  add(label("quantize_kv_q8", "96"), [=](auto& s) {
    over_floats(s, 96, [=, out = std::vector<KvQ8>(3)](float* y) mutable { isa->quantize_kv_q8(y, 96, out.data()); });
  });
  add(label("quantize_kv_q4", "96"), [=](auto& s) {
    over_floats(s, 96, [=, out = std::vector<KvQ4>(3)](float* y) mutable { isa->quantize_kv_q4(y, 96, out.data()); });
  });
  add(label("quantize_q8", "3072"), [=](auto& s) {
    over_floats(s, 3072,
                [=, out = std::vector<Q8Block>(96)](float* y) mutable { isa->quantize_q8(y, 96, out.data()); });
  });
  const auto vectors = std::make_shared<std::vector<float>>(numbers(size_t{4096} * 384));
  add(label("dot_rows", "4096x384"), [=](auto& s) {
    over_floats(s, 4096, [=](float* y) { isa->dot_rows(ones->data(), vectors->data(), 4096, 384, y); });
  });
}

const bool kRegistered = [] {
  benchmark::RegisterBenchmark("read_memory", read_memory);
  for (const KernelSet* isa : runnable()) register_set(isa);
  return true;
}();

}  // namespace
}  // namespace phial::kernels
