// Attention of one layer of Phi-3-small at its true shape, dense beside block-sparse: what leaving blocks out saves.
//
// label: attention/<sparse>/<queries>/<depth>: the last <queries> positions of <depth>; one query is decoding, 32 are a
// piece of a prompt. `kept` is the part of the keys that a head reads, the ceiling of what can be won; one thread.
#include <benchmark/benchmark.h>

#include <algorithm>
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

// Every entry of every head holds a small number.
KvCache filled(const spec::DecoderSpec& spec) {
  KvCache cache = *KvCache::make(spec, kMostDepth, KvType::kF16);
  KvAccess access(cache);
  std::mt19937 random(1);
  if (!access.reserve(kMostDepth)) return cache;
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
  static KvCache cache = filled(spec);
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
        attend(kernels::active(), shape, KvAccess(cache), 0, head, some, scratch);
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
