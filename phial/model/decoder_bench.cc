// What a forward pass of a few rows costs beside one of a single row: the price of checking a draft.
//
// label: forward/<rows>/<depth>, of the default model that lies in the folder PHIAL_MODELS; one thread, whose processor
// time holds on a busy machine as well.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <vector>

#include "phial/model/decoder.h"

namespace phial::model {
namespace {

constexpr int kMostDepth = 2048;
constexpr int kMostRows = 32;

void forward(benchmark::State& state) {
  const char* models = std::getenv("PHIAL_MODELS");  // NOLINT(concurrency-mt-unsafe)
  if (models == nullptr) return state.SkipWithError("PHIAL_MODELS names no folder");
  ThreadPool pool(1);
  auto opened = formats::Checkpoint::open(std::filesystem::path(models) / "SmolLM2-135M-Instruct.Q4_1.gguf");
  if (!opened) return state.SkipWithError(opened.error().text().c_str());
  const auto checkpoint = std::make_shared<const formats::Checkpoint>(*std::move(opened));
  const auto spec = Decoder::read_spec(*checkpoint);
  if (!spec) return state.SkipWithError(spec.error().text().c_str());
  const auto decoder = Decoder::load(checkpoint, *spec, Precision::kFast, pool);
  if (!decoder) return state.SkipWithError(decoder.error().text().c_str());
  auto cache = (*decoder)->make_cache(kMostDepth + kMostRows);
  if (!cache) return state.SkipWithError(cache.error().text().c_str());

  const auto rows = static_cast<size_t>(state.range(0));
  const auto depth = static_cast<int>(state.range(1));
  const std::vector<int32_t> ids(kMostDepth, 11);
  std::vector<float> logits;
  const auto run = [&](size_t n, LogitsOf which) {
    const Status done =
        (*decoder)->forward({.ids = std::span(ids).first(n), .logits_of = which, .cache = &*cache}, logits);
    if (!done) state.SkipWithError(done.error().text().c_str());
  };
  if (depth > 0) run(static_cast<size_t>(depth), LogitsOf::kNone);
  for (auto _ : state) {
    run(rows, LogitsOf::kAll);
    cache->truncate(depth);
  }
}
BENCHMARK(forward)->ArgsProduct({{1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 24, 32}, {0, 1200}})->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace phial::model
