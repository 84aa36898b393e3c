// Attention of one block-sparse layer of Phi-3-small at its true shape, in training on a CUDA device, in bf16.
//
// label: device_attention/<way>/<backward>/<tokens>: way 0 is our kernels over the lists, 1 the same over all blocks, 2
// torch's causal attention; backward 1 is forwards and backwards. `kept` is the part of the blocks that a head sees,
// `tflops` what a second does of products over kept blocks (2 forwards, 5 more backwards). Times are the device's.
#include <benchmark/benchmark.h>
#include <c10/core/Event.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include "phial/train/block_sparse_attention.h"
#include "phial/train/cuda_device_for_test.h"
#include "phial/train/sparse_layer_for_bench.h"

namespace phial::train {
namespace {

enum DeviceWay { kOverLists, kOverAll, kLibtorch };

void device_attention(benchmark::State& state) {
  if (const auto device = cuda_device(); !device) {
    state.SkipWithError(device.error().text().c_str());
    return;
  }
  const auto way = static_cast<DeviceWay>(state.range(0));
  const bool backward = state.range(1) != 0;
  const int64_t tokens = state.range(2);
  spec::DecoderSpec spec = phi3_small();
  const BlockPairs pairs = block_pairs(spec, tokens);
  if (way == kOverAll) keep_all_blocks(spec, tokens);
  const auto plan = block_sparse_plan(spec.block_sparse, spec.n_heads, spec.n_kv_heads, one_document(tokens));
  const auto options = at::TensorOptions(at::kBFloat16).device(at::kCUDA);
  const auto random = [&](int64_t heads) {
    return at::randn({1, heads, tokens, spec.head_dim}, options).requires_grad_(backward);
  };
  const at::Tensor queries = random(spec.n_heads), keys = random(spec.n_kv_heads), values = random(spec.n_kv_heads);
  const at::Tensor direction = random(spec.n_heads).detach();
  const double scale = spec::attention_scale(spec);
  const c10::impl::VirtualGuardImpl device(at::kCUDA);
  const auto pass = [&] {
    const at::Tensor out = way == kLibtorch ? at::scaled_dot_product_attention(queries, keys, values, std::nullopt, 0.0,
                                                                               true, scale, /*enable_gqa=*/true)
                                            : block_sparse_attention(queries, keys, values, plan, scale);
    if (backward) out.backward(direction);
    for (const at::Tensor& each : {queries, keys, values}) each.mutable_grad().reset();
  };
  pass();  // its memory and lists are taken outside the clock
  for (auto _ : state) {
    c10::Event begin(at::kCUDA, c10::EventFlag::BACKEND_DEFAULT), end(at::kCUDA, c10::EventFlag::BACKEND_DEFAULT);
    constexpr int kPasses = 5;
    begin.record(device.getStream(queries.device()));
    for (int i = 0; i < kPasses; ++i) pass();
    end.record(device.getStream(queries.device()));
    end.synchronize();
    state.SetIterationTime(begin.elapsedTime(end) * 1e-3 / kPasses);
  }
  const double of_pair = 2.0 * static_cast<double>(spec.block_sparse.block * spec.block_sparse.block * spec.head_dim);
  state.counters["kept"] = pairs.kept / pairs.all;
  state.counters["tflops"] =
      benchmark::Counter((backward ? 7 : 2) * of_pair * 1e-12 * (way == kOverLists ? pairs.kept : pairs.all),
                         benchmark::Counter::kIsIterationInvariantRate);
}

BENCHMARK(device_attention)
    ->ArgsProduct({{kOverLists, kOverAll, kLibtorch}, {0, 1}, benchmark::CreateRange(1024, 32768, 2)})
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace phial::train
