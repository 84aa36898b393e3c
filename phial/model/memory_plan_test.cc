#include "phial/model/memory_plan.h"

#include <gtest/gtest.h>

#include "phial/model/golden_files.h"

namespace phial::model {
namespace {

TEST(MemoryPlan, IsToldInOneLine) {
  const MemoryPlan plan{.weights_bytes = 107'000'000,
                        .kv_bytes = 50'100'000,
                        .scratch_bytes = 2'000'000,
                        .available_bytes = 8'250'000'000,
                        .context_tokens = 4096,
                        .kv_type = KvType::kQ8,
                        .smaller_kv_that_fits = {}};
  EXPECT_EQ(plan.text(),
            "107 MB of weights, 50.1 MB of keys and values in q8 for 4096 tokens, 2.0 MB of scratch: 159 MB in all, "
            "8.2 GB are free");
}

// Of llama-like, whose keys and values come in pages of 64 tokens: 49,152 bytes in f32.
TEST(MemoryPlan, ARefusalNamesWhatFits) {
  spec::DecoderSpec spec = *Decoder::read_spec(*open_model(golden("llama-like")));
  const auto refusal = [&](const PlanInput& input, uint64_t available, ContextIs said) {
    const MemoryPlan plan = make_plan(spec, input, available);
    const Status status = plan.check("a/model", said);
    if (status) return std::string("fits");
    EXPECT_EQ(status.error().code, Code::kOutOfMemory);
    EXPECT_EQ(status.error().message, "the model does not fit into memory, " + plan.text() + " (a/model)");
    return status.error().remedy;
  };
  PlanInput input{.weights_bytes = 1000, .kv_type = KvType::kF32, .context_tokens = 200, .keeps_logits = true};
  const uint64_t available = 1000 + 2 * 49152 + 100 * uint64_t{4 * 384};  // two pages and 100 rows of logits
  EXPECT_EQ(refusal(input, available, ContextIs::kTokens), "give at most 100 tokens");
  EXPECT_EQ(refusal(input, available, ContextIs::kFlag), "give --context 100");
  EXPECT_EQ(refusal(input, 999, ContextIs::kTokens), "take a smaller model or one with fewer bits a weight");
  input.context_tokens = 100;
  EXPECT_EQ(refusal(input, available, ContextIs::kTokens), "fits");
  input.context_tokens = 101;
  EXPECT_EQ(refusal(input, available, ContextIs::kTokens), "give at most 100 tokens");

  spec.head_dim = 64;
  input = {.weights_bytes = 1000, .kv_type = KvType::kF16, .context_tokens = 200};
  EXPECT_EQ(refusal(input, 1000 + KvCache::bytes_for(spec, 192, KvType::kF16), ContextIs::kFlag),
            "give --kv q8, or --context 192");
}

// Rows of the embedding stay in memory only where the file is copied (LoadMemory tests that they do).
TEST(MemoryPlan, CountsTheEmbeddingOfACopiedFile) {
  const auto plan = [](LoadMode mode) {
    const auto checkpoint = formats::Checkpoint::open(golden("phi3-int4-like") / "awq", mode);
    return *Decoder::plan(*checkpoint, *Decoder::read_spec(*checkpoint), Precision::kFast, 2, {.context_tokens = 64});
  };
  const MemoryPlan mapped = plan(LoadMode::kMap), copied = plan(LoadMode::kCopy);
  EXPECT_EQ(mapped.embedding_bytes, 0U);
  const auto stored = open_model(golden("phi3-int4-like") / "awq");
  const uint64_t rows = stored->find("model.embed_tokens.weight")->bytes.size();
  EXPECT_EQ(copied.total_bytes(), mapped.total_bytes() + rows);
  EXPECT_NE(copied.text().find("of embeddings"), std::string::npos) << copied.text();
}

}  // namespace
}  // namespace phial::model
