// What the formulas say of memory and bytes, against what is allocated and handed over; and the tables of
// docs/scaling.md, which are theirs.
#include "phial/train/scaling.h"

#include <c10/core/Allocator.h>
#include <c10/util/ThreadLocalDebugInfo.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "phial/base/mapped_file.h"
#include "phial/spec/variants.h"
#include "phial/train/gradient_buckets.h"
#include "phial/train/network.h"
#include "phial/train/optimizer.h"
#include "phial/train/ranks_for_test.h"

namespace phial::train {
namespace {

spec::DecoderSpec variant_of_scaling(const std::string& name) {
  for (const spec::DecoderSpec& spec : spec::variants()) {
    if (spec.name == name) return spec;
  }
  ADD_FAILURE() << "no " << name;
  return {};
}

// A published shape, made narrow.
spec::DecoderSpec narrow_variant(const std::string& name) {
  spec::DecoderSpec spec = variant_of_scaling(name);
  const int group = spec.n_heads / spec.n_kv_heads;
  spec.n_layers = 4;
  spec.n_heads = 4;
  spec.n_kv_heads = group == 1 ? 4 : 2;
  spec.head_dim = spec.rope_dims = 32;
  spec.hidden_dim = 128;
  spec.ffn_dim = 320;
  spec.vocab_size = 256;
  spec.context = 256;
  spec.block_sparse = {};
  spec.masked_ids = {};
  return spec;
}

Batch any_batch(int64_t rows, int64_t tokens) {
  const at::Tensor ids = at::arange(rows * tokens, at::kLong).remainder(250).view({rows, tokens});
  return {.ids = ids,
          .targets = ids,
          .positions = at::arange(tokens, at::kLong).expand_as(ids).contiguous(),
          .documents = at::zeros_like(ids),
          .one_document_a_row = true};
}

// Bytes of tensors that live.
struct LiveBytes : c10::MemoryReportingInfoBase {
  double bytes = 0;
  void reportMemoryUsage(void*, int64_t size, size_t, size_t, c10::Device) override {
    bytes += static_cast<double>(size);
  }
  bool memoryProfilingEnabled() const override { return true; }
};

TEST(Scaling, ActivationsAreThoseThatAForwardPassLeaves) {
  for (const char* name : {"phi3-mini-4k", "phi3-medium-4k", "phi3-small-8k"}) {
    const spec::DecoderSpec spec = narrow_variant(name);
    for (const bool is_bf16 : {false, true}) {
      for (const bool recomputes : {false, true}) {
        const Network network(spec, new_parameters(spec, std::nullopt, {}, 1),
                              {.compute = is_bf16 ? Compute::kBf16 : Compute::kF32, .recompute_layers = recomputes});
        const ScalingPlan plan = {.rows = 2, .tokens = 128, .is_bf16 = is_bf16, .recomputes_layers = recomputes};
        const Batch batch = any_batch(plan.rows, plan.tokens);
        network.loss(batch);  // the network keeps the rotary angles that a pass has asked for
        const auto live = std::make_shared<LiveBytes>();
        const c10::DebugInfoGuard guard(c10::DebugInfoKind::PROFILER_STATE, live);
        const CrossEntropy loss = network.loss(batch);
        const RankMemory wanted = memory_of_rank(spec, plan);
        const double casts = recomputes ? 0 : wanted.casts;  // then a layer's go with it
        EXPECT_NEAR(live->bytes / (wanted.activations + casts), 1, 0.01) << name << is_bf16 << recomputes;
      }
    }
  }
}

TEST(Scaling, MomentsAndTrafficAreThoseOfAStep) {
  const spec::DecoderSpec spec = narrow_variant("phi3-mini-4k");
  for (const bool is_divided : {false, true}) {
    const ScalingPlan plan = {
        .ranks = 3, .rows = 1, .tokens = 16, .divided = is_divided ? Divided::kOptimizer : Divided::kNothing};
    at_ranks(3, [&](ProcessGroup& group) {
      Network network(spec, new_parameters(spec, std::nullopt, {}, 1));
      GradientBuckets gradients(network.trained(), group, is_divided ? Sharding::kOptimizer : Sharding::kNone);
      AdamW optimizer(network.trained(), spec, std::nullopt, {}, gradients.owned());
      gradients.begin_step();
      gradients.expect_last_pass();
      network.loss(any_batch(1, 16)).objective.backward();
      ASSERT_TRUE(gradients.finish());
      optimizer.step(1e-3, 1);
      ASSERT_TRUE(gradients.gather_weights());
      double moments = 0;
      for (const AdamW::State& state : optimizer.states()) moments += 2.0 * static_cast<double>(state.mean.nbytes());
      EXPECT_NEAR(moments / memory_of_rank(spec, plan).moments, 1, 1e-3);
      const CommunicatedBytes bytes = group.communicated();
      const auto handed_over = static_cast<double>(bytes.summed + bytes.gathered);
      EXPECT_NEAR(handed_over / handed_over_bytes(spec, plan), 1, 1e-3);
    });
  }
}

// A row of the table of docs/scaling.md: 1024 rows of 4096 tokens a step, a row at a time at each rank.
std::string table_row(const spec::DecoderSpec& spec, int64_t ranks, Divided divided, const char* named) {
  constexpr double kMemory = 80e9;
  ScalingPlan plan = {.ranks = ranks, .tokens = 4096, .accumulate = 1024 / ranks, .divided = divided};
  plan.recomputes_layers = memory_of_rank(spec, plan).total() > kMemory;
  const RankMemory memory = memory_of_rank(spec, plan);
  const StepEstimate step = estimate_step(spec, plan, {});
  char mfu[16] = "does not fit";
  if (memory.total() <= kMemory) std::snprintf(mfu, sizeof mfu, "%.0f %%", 100 * step.mfu);
  char row[256];
  std::snprintf(
      row, sizeof row, "| %s | %lld | %s | %.0f | %.1f | %s | %.0f | %.1f | %.1f | %.1f | %s |", spec.name.c_str(),
      static_cast<long long>(ranks), named, (memory.weights + memory.gradients + memory.moments + memory.casts) / 1e9,
      (memory.activations + memory.recomputed) / 1e9, plan.recomputes_layers ? "yes" : "no",
      sent_bytes(spec, plan) / 1e9, step.compute_seconds, step.communication_seconds, step.exposed_seconds, mfu);
  return row;
}

TEST(Scaling, TheTableOfTheDocumentIsWhatTheFormulasGive) {
  const auto document = read_text_file(std::filesystem::path(PHIAL_TESTDATA).parent_path() / "docs" / "scaling.md");
  ASSERT_TRUE(document);
  for (const char* name : {"phi3-mini-4k", "phi3-small-8k", "phi3-medium-4k"}) {
    for (const int64_t ranks : {8, 64, 512}) {
      for (const auto& [divided, named] :
           {std::pair{Divided::kNothing, "nothing"}, std::pair{Divided::kOptimizer, "moments"},
            std::pair{Divided::kAll, "all"}}) {
        const std::string row = table_row(variant_of_scaling(name), ranks, divided, named);
        EXPECT_NE(document->find(row), std::string::npos) << row;
      }
    }
  }
}

}  // namespace
}  // namespace phial::train
