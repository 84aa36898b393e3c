// Attention of one layer of Phi-3-small at its true shape, dense beside block-sparse: what leaving blocks out saves.
//
// label: attention/<sparse>/<queries>/<depth>: the last <queries> positions of <depth>; one query is decoding, 32 are a
// piece of a prompt. `kept` is the part of the keys that a head reads, the ceiling of what can be won; one thread.
//
// label: depth/<type>/<queries>/<depth>/threads:<n>: the same of Phi-3-mini, dense, in a cache that no cache level of a
// desktop holds. With one query the bytes a second are of keys and values, to be read against `phial bench`'s probe of
// memory; with 32, operations (one multiply-add is two).
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <mutex>
#include <random>
#include <vector>

#include "phial/model/attention.h"
#include "phial/model/kv_access.h"
#include "phial/spec/variants.h"

namespace phial::model {
namespace {

constexpr int kMostDepth = 32768;

spec::DecoderSpec one_layer() {
  for (const spec::DecoderSpec& variant : spec::variants()) {
    if (variant.name != "phi3-small-128k") continue;
    spec::DecoderSpec spec = variant;
    spec.n_layers = 1;
    spec.block_sparse.dense_every = 1;  // so that the cache keeps all
    return spec;
  }
  return {};
}

// Null: no memory.
std::unique_ptr<KvCache> deep_cache(KvType type, int depth) {
  auto cache = std::make_unique<KvCache>(*KvCache::make(spec::variants().front(), depth, type));
  KvAccess access(*cache);
  if (!access.reserve(depth)) return nullptr;
  // Moderate halfs; as scales of blocks they are moderate too.
  std::mt19937 random(1);
  std::vector<uint16_t> words(2 * kPageTokens * access.row_bytes() / sizeof(uint16_t));
  std::ranges::generate(words, [&] { return static_cast<uint16_t>(0x2000U | (random() & 0x8FFFU)); });
  const spec::DecoderSpec& spec = spec::variants().front();
  for (int layer = 0; layer < spec.n_layers; ++layer) {
    for (int head = 0; head < spec.n_kv_heads; ++head) {
      for (int p = 0; p < depth; p += kPageTokens) {
        std::memcpy(access.key(layer, head, p), words.data(), words.size() * sizeof(uint16_t));
      }
    }
  }
  return cache;
}

// One layer after the other, its heads divided among the threads.
void depth(benchmark::State& state) {
  const auto type = static_cast<KvType>(state.range(0));
  const auto queries = static_cast<int>(state.range(1)), depth = static_cast<int>(state.range(2));
  const spec::DecoderSpec& spec = spec::variants().front();
  static std::unique_ptr<KvCache> cache;
  static std::mutex mutex;
  {
    const std::lock_guard lock(mutex);
    if (cache == nullptr || cache->type() != type || cache->capacity() != depth) {
      cache = nullptr;
      cache = deep_cache(type, depth);
    }
    if (cache == nullptr) {
      state.SkipWithError("no memory for keys and values");
      return;
    }
  }
  const auto dim = static_cast<size_t>(spec.head_dim);
  std::vector<float> q(static_cast<size_t>(queries) * dim, 0.01F), out(q.size());
  std::vector<float> scratch(attention_scratch(queries, depth, 1));
  const AttentionShape shape = {.heads_per_kv = 1, .head_dim = spec.head_dim, .scale = spec::attention_scale(spec)};
  const Queries some = {.q = q.data(),
                        .q_stride = dim,
                        .out = out.data(),
                        .out_stride = dim,
                        .first_position = depth - queries,
                        .tokens = queries};
  int layer = 0, heads = 0;
  for (auto _ : state) {
    for (int head = state.thread_index(); head < spec.n_kv_heads; head += state.threads(), ++heads) {
      attend(kernels::active(), shape, KvAccess(*cache), layer, head, some, scratch);
    }
    layer = (layer + 1) % spec.n_layers;
  }
  const int64_t numbers = int64_t{heads} * 2 * depth;
  state.SetBytesProcessed(numbers * static_cast<int64_t>(row_bytes(type, spec.head_dim)));
  state.counters["GOPS"] =
      benchmark::Counter(2e-9 * static_cast<double>(numbers * spec.head_dim * queries), benchmark::Counter::kIsRate);
}
BENCHMARK(depth)
    ->ArgsProduct({{static_cast<int>(KvType::kF16), static_cast<int>(KvType::kQ8), static_cast<int>(KvType::kQ4)},
                   {1, 32},
                   {2048, 8000}})
    ->Threads(1)
    ->Threads(2)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

// Every entry of every head holds a small number.
// Null: no memory.
std::unique_ptr<KvCache> filled(const spec::DecoderSpec& spec) {
  auto cache = std::make_unique<KvCache>(*KvCache::make(spec, kMostDepth, KvType::kF16));
  KvAccess access(*cache);
  std::mt19937 random(1);
  if (!access.reserve(kMostDepth)) return nullptr;
  for (int head = 0; head < spec.n_kv_heads; ++head) {
    for (int position = 0; position < kMostDepth; ++position) {
      for (std::byte* row : {access.key(0, head, position), access.value(0, head, position)}) {
        auto* halves = reinterpret_cast<uint16_t*>(row);
        std::generate_n(halves, spec.head_dim, [&] { return static_cast<uint16_t>(0x3000U + random() % 0x800U); });
      }
    }
  }
  return cache;
}

void attention(benchmark::State& state) {
  static const spec::DecoderSpec spec = one_layer();
  static const std::unique_ptr<KvCache> cache = filled(spec);
  if (cache == nullptr) {
    state.SkipWithError("no memory for keys and values");
    return;
  }
  static const spec::BlockSparseLists lists(spec.block_sparse, spec.n_heads, spec.n_kv_heads, kMostDepth);
  const bool is_sparse = state.range(0) != 0;
  const auto queries = static_cast<int>(state.range(1)), depth = static_cast<int>(state.range(2));
  const int per_kv = spec.n_heads / spec.n_kv_heads;
  const int keys = is_sparse ? sparse_keys(spec.block_sparse, depth) : depth;
  const int block = std::min(queries, query_block(keys, per_kv));
  const auto width = static_cast<size_t>(spec.n_heads * spec.head_dim);
  std::vector<float> q(static_cast<size_t>(queries) * width, 0.01F), out(q.size());
  std::vector<float> scratch(attention_scratch(block, keys, per_kv));
  const AttentionShape shape = {.heads_per_kv = per_kv,
                                .head_dim = spec.head_dim,
                                .scale = spec::attention_scale(spec),
                                .sparse = is_sparse ? &lists : nullptr};
  for (auto _ : state) {
    for (int head = 0; head < spec.n_kv_heads; ++head) {
      const size_t column = static_cast<size_t>(head * per_kv * spec.head_dim);
      for (int t = 0; t < queries; t += block) {
        const size_t at = static_cast<size_t>(t) * width + column;
        const Queries some = {.q = q.data() + at,
                              .q_stride = width,
                              .out = out.data() + at,
                              .out_stride = width,
                              .first_position = depth - queries + t,
                              .tokens = std::min(block, queries - t)};
        attend(kernels::active(), shape, KvAccess(*cache), 0, head, some, scratch);
      }
    }
    benchmark::DoNotOptimize(out.data());
  }
  const int q_block = (depth - 1) / spec.block_sparse.block, first_near = lists.first_local(q_block);
  const int seen = lists.n_before(0, 0, first_near) + q_block + 1 - first_near;
  state.counters["kept"] = static_cast<double>(seen) / (q_block + 1);
}
BENCHMARK(attention)
    ->ArgsProduct({{0, 1}, {1, 32}, {1024, 2048, 4096, 8192, 16384, 32768}})
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace phial::model
