// Attention of one layer of Phi-3-small at its true shape, dense beside block-sparse: what leaving blocks out saves.
// One thread, f16.
//
// label: decode/<sparse>/<depth>: one token behind <depth> - 1 others, all heads. prompt/<sparse>/<tokens>: a whole
// prompt in the decoder's chunks, the heads of one key-value head. `kept`: the part of the pairs of query and key that
// heads read; `kept_bytes`, of decoding: the part of the cache that is read. Their inverses are the most that can be
// won.
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
#include "phial/model/chunk.h"
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

// Every entry of every head holds a small number. Null: no memory.
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

// What both benchmarks of the layer need.
struct SmallLayer {
  spec::DecoderSpec spec = one_layer();
  std::unique_ptr<KvCache> cache = filled(spec);
  spec::BlockSparseLists lists{spec.block_sparse, spec.n_heads, spec.n_kv_heads, kMostDepth};

  int heads_per_kv() const { return spec.n_heads / spec.n_kv_heads; }
  // Keys that the r-th query head of a key-value head sees from a position.
  int keys_seen(int kv_head, int r, int position) const {
    const int block = spec.block_sparse.block, near = lists.first_local(position / block);
    return lists.n_before(kv_head, r, near) * block + position + 1 - near * block;
  }
};

const SmallLayer& small_layer() {
  static const SmallLayer layer;
  return layer;
}

// Some rows of queries of one layer, and room for what attention makes of them.
class Asked {
 public:
  Asked(const SmallLayer& layer, bool is_sparse, int rows)
      : layer_(layer),
        is_sparse_(is_sparse),
        width_(static_cast<size_t>(layer.spec.n_heads * layer.spec.head_dim)),
        q_(static_cast<size_t>(rows) * width_, 0.01F),
        out_(q_.size()) {}

  // As many rows from `position` on, of the query heads of some key-value heads.
  void attend_to(int position, int rows, int n_kv_heads) {
    const int per_kv = layer_.heads_per_kv();
    blocks_.clear();
    const spec::BlockSparse pattern = is_sparse_ ? layer_.spec.block_sparse : spec::BlockSparse{};
    scratch_.resize(std::max(
        scratch_.size(),
        cut_queries({.first = 0, .count = static_cast<size_t>(rows), .position = position}, pattern, per_kv, blocks_)));
    for (int head = 0; head < n_kv_heads * per_kv; ++head) {
      for (const QueryBlock& block : blocks_) {
        if (head % block.heads == 0) attend_with(block, position, head);
      }
    }
    benchmark::DoNotOptimize(out_.data());
  }

 private:
  void attend_with(const QueryBlock& block, int position, int head) {
    const int per_kv = layer_.heads_per_kv();
    const size_t at = block.first * width_ + static_cast<size_t>(head * layer_.spec.head_dim);
    const AttentionShape shape = {.heads_per_kv = block.heads,
                                  .head_dim = layer_.spec.head_dim,
                                  .scale = spec::attention_scale(layer_.spec),
                                  .sparse = is_sparse_ ? &layer_.lists : nullptr};
    const Queries some = {.q = q_.data() + at,
                          .q_stride = width_,
                          .out = out_.data() + at,
                          .out_stride = width_,
                          .first_head = head % per_kv,
                          .first_position = position + static_cast<int>(block.first),
                          .tokens = static_cast<int>(block.rows)};
    attend(kernels::active(), shape, KvAccess(*layer_.cache), 0, head / per_kv, some, scratch_);
  }

  const SmallLayer& layer_;
  bool is_sparse_;
  size_t width_;
  std::vector<float> q_, out_, scratch_;
  std::vector<QueryBlock> blocks_;
};

void decode(benchmark::State& state) {
  const SmallLayer& layer = small_layer();
  if (layer.cache == nullptr) return state.SkipWithError("no memory for keys and values");
  const bool is_sparse = state.range(0) != 0;
  const auto depth = static_cast<int>(state.range(1));
  Asked asked(layer, is_sparse, 1);
  for (auto _ : state) asked.attend_to(depth - 1, 1, layer.spec.n_kv_heads);

  const int block = layer.spec.block_sparse.block, own = (depth - 1) / block;
  int64_t seen = 0, read = 0;
  for (int kv_head = 0; kv_head < layer.spec.n_kv_heads; ++kv_head) {
    for (int r = 0; r < layer.heads_per_kv(); ++r) seen += layer.keys_seen(kv_head, r, depth - 1);
    read += static_cast<int64_t>(layer.lists.far(kv_head, own).size()) * block + depth -
            layer.lists.first_local(own) * block;
  }
  state.counters["kept"] = static_cast<double>(seen) / (layer.spec.n_heads * depth);
  state.counters["kept_bytes"] = static_cast<double>(read) / (layer.spec.n_kv_heads * depth);
}
BENCHMARK(decode)->ArgsProduct({{0, 1}, {1024, 2048, 4096, 8192, 16384, 32768}})->Unit(benchmark::kMillisecond);

void prompt(benchmark::State& state) {
  const SmallLayer& layer = small_layer();
  if (layer.cache == nullptr) return state.SkipWithError("no memory for keys and values");
  const bool is_sparse = state.range(0) != 0;
  const auto tokens = static_cast<int>(state.range(1));
  Asked asked(layer, is_sparse, kPrefillChunk);
  for (auto _ : state) {
    for (int at = 0; at < tokens; at += kPrefillChunk) asked.attend_to(at, std::min(kPrefillChunk, tokens - at), 1);
  }

  double seen = 0, all = 0;
  for (int position = 0; position < tokens; ++position) {
    for (int r = 0; r < layer.heads_per_kv(); ++r) {
      seen += layer.keys_seen(0, r, position);
      all += position + 1;
    }
  }
  state.counters["kept"] = seen / all;
  const double pairs = (is_sparse ? seen : all) * static_cast<double>(state.iterations());
  state.counters["GOPS"] = benchmark::Counter(4e-9 * layer.spec.head_dim * pairs, benchmark::Counter::kIsRate);
}
BENCHMARK(prompt)
    ->ArgsProduct({{0, 1}, {1024, 2048, 4096, 8192, 16384, 32768}})
    ->Iterations(1)
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace phial::model
