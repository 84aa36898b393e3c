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

// Rows of the embedding stay in memory only where the file is copied (LoadMemory tests that they do).
TEST(MemoryPlan, CountsTheEmbeddingOfACopiedFile) {
  const auto plan = [](LoadMode mode) {
    const auto checkpoint = formats::Checkpoint::open(golden("phi3-int4-like") / "awq", mode);
    return *Decoder::plan(*checkpoint, *Decoder::read_spec(*checkpoint), Precision::kFast, 64);
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
