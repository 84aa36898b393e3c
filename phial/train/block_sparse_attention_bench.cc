// Attention of one block-sparse layer of Phi-3-small at its true shape, in training: our kernels, torch's dense and
// torch's dense with a mask.
//
// label: training_attention/<way>/<backward>/<bf16>/<tokens>: way 0 is our kernels over the lists, 1 the same over all
// blocks, 2 torch's causal attention, 3 torch's attention with a mask (a mask that one head would need); backward 1 is
// forwards and backwards. `kept` is the part of the blocks that a head sees. Above 4,096 tokens a quarter of the heads.
#include <benchmark/benchmark.h>

#include "phial/train/block_sparse_attention.h"
#include "phial/train/sparse_layer_for_bench.h"

namespace phial::train {
namespace {

enum Way { kSparse, kAllBlocks, kTorchCausal, kTorchMasked };

void training_attention(benchmark::State& state) {
  const auto way = static_cast<Way>(state.range(0));
  const bool backward = state.range(1) != 0;
  const auto type = state.range(2) != 0 ? at::kBFloat16 : at::kFloat;
  const int64_t tokens = state.range(3);
  spec::DecoderSpec spec = phi3_small();
  if (tokens > 4096) {
    spec.n_heads /= 4;
    spec.n_kv_heads /= 4;
  }
  const BlockPairs pairs = block_pairs(spec, tokens);
  state.counters["kept"] = pairs.kept / pairs.all;
  state.counters["heads"] = spec.n_heads;
  if (way == kAllBlocks) keep_all_blocks(spec, tokens);
  const bool ours = way == kSparse || way == kAllBlocks;
  const auto plan = block_sparse_plan(spec.block_sparse, spec.n_heads, spec.n_kv_heads, one_document(tokens));
  const auto random = [&](int64_t heads) {
    return at::randn({1, heads, tokens, spec.head_dim}).to(type).requires_grad_(backward);
  };
  // torch's attention is given keys and values for every query head, as it wants them with a mask.
  const int64_t kv_heads = ours ? spec.n_kv_heads : spec.n_heads;
  const at::Tensor queries = random(spec.n_heads), keys = random(kv_heads), values = random(kv_heads);
  const at::Tensor direction = random(spec.n_heads).detach();
  const double scale = spec::attention_scale(spec);
  std::optional<at::Tensor> mask;
  if (way == kTorchMasked) mask = at::ones({tokens, tokens}, at::kBool).tril().view({1, 1, tokens, tokens});
  for (auto _ : state) {
    const at::Tensor out =
        ours ? block_sparse_attention(queries, keys, values, plan, scale)
             : at::scaled_dot_product_attention(queries, keys, values, mask, 0.0, way == kTorchCausal, scale);
    if (backward) out.backward(direction);
    for (const at::Tensor& each : {queries, keys, values}) each.mutable_grad().reset();
    benchmark::DoNotOptimize(out.data_ptr());
  }
}

BENCHMARK(training_attention)
    ->ArgsProduct(
        {{kSparse, kAllBlocks, kTorchCausal, kTorchMasked}, {0, 1}, {0, 1}, benchmark::CreateRange(1024, 32768, 2)})
    ->MeasureProcessCPUTime()
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace phial::train
