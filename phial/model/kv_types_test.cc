// What the smaller types of cache cost: how far from exact their logits are, beside those with f16. (The distance to
// f16 itself says less: any change flips roundings of activations, and two fast runs are as far from each other as each
// is from exact.) docs/decisions/0005-kv-cache.md has what was measured.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "phial/base/default_models_for_test.h"
#include "phial/model/golden_files.h"
#include "phial/model/memory_plan.h"

namespace phial::model {
namespace {

constexpr auto kShort = spec::RopeTable::kShort;
constexpr KvType kSmall[] = {KvType::kQ8, KvType::kQ4};

// q8 is to cost nearly nothing; q4 is to stay in the neighbourhood.
void expect_near_exact(const Decoder& exact, const Decoder& fast, std::span<const int32_t> ids, double more_of_q8,
                       double most_of_q4, const std::string& name) {
  const auto wanted = run_all(exact, ids);
  const auto distance = [&](KvType type) { return rms_difference(run_all(fast, ids, kShort, type), wanted); };
  const double f16 = distance(KvType::kF16), q8 = distance(KvType::kQ8), q4 = distance(KvType::kQ4);
  for (const auto& [type, found] : {std::pair{"f16", f16}, {"q8", q8}, {"q4", q4}}) {
    testing::Test::RecordProperty(name + "_" + type, std::to_string(found));
  }
  EXPECT_LE(q8, more_of_q8 * f16) << name;
  EXPECT_LE(q4, most_of_q4) << name;
}

// Random weights attend sharply and so feel their keys' rounding more than trained ones do.
TEST(KvTypes, FixturesLogitsAreNearExact) {
  ThreadPool pool(2);
  for (const char* folder : {"phi3-mini-like", "phi3-medium-like", "phi3-128k-like", "llama-like"}) {
    const auto exact = load_model(golden(folder), Precision::kExact, pool);
    const auto fast = load_model(golden(folder), Precision::kFast, pool);
    ASSERT_TRUE(exact != nullptr && fast != nullptr);
    expect_near_exact(*exact, *fast, long_text(200, 384), 1.3, 1.2, folder);
  }
}

TEST(KvTypes, ATruncatedCacheContinuesAsIfTheRestHadNeverBeen) {
  ThreadPool pool(2);
  const auto decoder = load_model(golden("phi3-mini-like"), Precision::kFast, pool);
  ASSERT_NE(decoder, nullptr);
  const auto ids = long_text(500, 384);
  for (const KvType type : kSmall) {
    const auto wanted = run_all(*decoder, ids, kShort, type);
    auto cache = decoder->make_cache(500, type);
    ASSERT_TRUE(cache);
    run(*decoder, *cache, std::span(ids).first(400), LogitsOf::kNone);
    cache->truncate(380);  // still kept
    ASSERT_EQ(cache->length(), 380);
    const auto tail = run(*decoder, *cache, std::span(ids).subspan(380), LogitsOf::kAll);
    EXPECT_EQ(tail, std::vector<float>(wanted.begin() + 380 * 384, wanted.end())) << name_of(type);
  }
}

TEST(KvTypes, ExactPrecisionKeepsF32) {
  ThreadPool pool(1);
  const auto decoder = load_model(golden("llama-like"), Precision::kExact, pool);
  ASSERT_NE(decoder, nullptr);
  for (const KvType type : kSmall) EXPECT_EQ(decoder->make_cache(4, type)->type(), KvType::kF32);
  const auto fast = load_model(golden("llama-like"), Precision::kFast, pool);
  auto foreign = fast->make_cache(4, KvType::kQ8);
  std::vector<float> logits;
  const std::vector<int32_t> ids = {1};
  EXPECT_FALSE(decoder->forward({.ids = ids, .cache = &*foreign}, logits));
}

TEST(KvTypes, ThePlanNamesTheLargestTypeThatFits) {
  spec::DecoderSpec spec = *Decoder::read_spec(*open_model(golden("phi3-medium-like")));
  spec.head_dim = 64;
  const auto bytes = [&](KvType type) { return KvCache::bytes_for(spec, 500, type); };
  const auto plan = [&](KvType type, uint64_t available) {
    return make_plan(spec, {.weights_bytes = 1000, .scratch_bytes = 10, .kv_type = type, .context_tokens = 500},
                     1010 + available);
  };
  EXPECT_TRUE(plan(KvType::kF16, bytes(KvType::kF16)).fits());
  EXPECT_FALSE(plan(KvType::kF16, bytes(KvType::kF16) - 1).fits());
  EXPECT_EQ(plan(KvType::kF16, bytes(KvType::kF16) - 1).smaller_kv_that_fits, KvType::kQ8);
  EXPECT_EQ(plan(KvType::kF16, bytes(KvType::kQ8) - 1).smaller_kv_that_fits, KvType::kQ4);
  EXPECT_EQ(plan(KvType::kF16, bytes(KvType::kQ4) - 1).smaller_kv_that_fits, std::nullopt);
  EXPECT_EQ(plan(KvType::kQ8, bytes(KvType::kQ8) - 1).smaller_kv_that_fits, KvType::kQ4);
  EXPECT_EQ(plan(KvType::kF32, bytes(KvType::kF16)).smaller_kv_that_fits, std::nullopt);
  EXPECT_GT(plan(KvType::kQ4, bytes(KvType::kF16)).largest_context_that_fits,
            plan(KvType::kF16, bytes(KvType::kF16)).largest_context_that_fits);
}

TEST_F(DefaultModels, LogitsOfSmallerKvCachesAreNearExact) {
  ThreadPool pool(usable_cores());
  const auto exact = load_model(smollm2(), Precision::kExact, pool);
  const auto fast = load_model(smollm2(), Precision::kFast, pool);
  ASSERT_TRUE(exact != nullptr && fast != nullptr);
  const Expected expected(golden("real/smollm2-135m-instruct-q4_1") / "expected");
  for (const GoldenCase& c : expected.cases()) expect_near_exact(*exact, *fast, c.prompt, 1.75, 3, c.name);
}

}  // namespace
}  // namespace phial::model
