#include "phial/model/kv_cache.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>

#include "phial/model/kv_access.h"
#include "phial/spec/variants.h"

namespace phial::model {
namespace {

TEST(KvCache, TakesWhatTheFamilyIsKnownToTake) {
  const spec::DecoderSpec& mini = spec::variants()[0];
  EXPECT_EQ(KvCache::bytes_for(mini, 1, KvType::kF16), 393'216U * kPageTokens);
  EXPECT_EQ(KvCache::bytes_for(mini, 1024, KvType::kF16), 393'216U * 1024);
  // A window of 2047 bounds it, whatever the context.
  const uint64_t windowed = KvCache::bytes_for(mini, 131072, KvType::kF16);
  EXPECT_EQ(KvCache::bytes_for(mini, 4096, KvType::kF16), windowed);
  EXPECT_GE(windowed, 393'216U * (2047 + kPrefillChunk));
  EXPECT_LE(windowed, 393'216U * (2047 + kPrefillChunk + 3 * kPageTokens));
}

TEST(KvCache, BlocksOf32ShareAScale) {
  EXPECT_EQ(row_bytes(KvType::kF32, 96), 384U);
  EXPECT_EQ(row_bytes(KvType::kF16, 96), 192U);
  EXPECT_EQ(row_bytes(KvType::kQ8, 96), 3 * 34U);
  EXPECT_EQ(row_bytes(KvType::kQ4, 96), 3 * 20U);
  EXPECT_EQ(row_bytes(KvType::kQ8, 8), 34U);
  EXPECT_EQ(row_bytes(KvType::kQ4, 100), 4 * 20U);
  const spec::DecoderSpec& mini = spec::variants()[0];
  EXPECT_EQ(KvCache::bytes_for(mini, 1024, KvType::kQ8), 393'216U * 1024 / 192 * 102);
  auto cache = KvCache::make(mini, 10, KvType::kQ4);
  ASSERT_TRUE(cache);
  EXPECT_EQ(cache->type(), KvType::kQ4);
  EXPECT_EQ(cache->bytes(), 0U);
  ASSERT_TRUE(KvAccess(*cache).reserve(10));
  EXPECT_EQ(cache->bytes(), 393'216U * kPageTokens / 192 * 60);
}

spec::DecoderSpec one_head(int window) {
  spec::DecoderSpec spec = spec::variants()[0];
  spec.n_layers = spec.n_heads = spec.n_kv_heads = 1;
  spec.head_dim = 4;
  spec.sliding_window = window;
  return spec;
}

// Appends positions whose keys and values are `number`.
void append(KvCache& cache, int tokens, float number) {
  KvAccess access(cache);
  ASSERT_TRUE(access.reserve(tokens));
  for (int t = 0; t < tokens; ++t) {
    for (std::byte* row : {access.key(0, 0, access.length() + t), access.value(0, 0, access.length() + t)}) {
      std::fill_n(reinterpret_cast<float*>(row), 4, number);
    }
  }
  access.advance(tokens);
}

float number_at(KvCache& cache, int position) {
  const KvAccess access(cache);
  const float key = *reinterpret_cast<float*>(access.key(0, 0, position));
  EXPECT_EQ(key, *reinterpret_cast<float*>(access.value(0, 0, position)));
  return key;
}

TEST(KvCache, TruncationKeepsWhatAQueryWillSee) {
  KvCache cache = *KvCache::make(one_head(10), 2000, KvType::kF32);
  while (cache.length() < 1000) append(cache, 100, 1);
  cache.truncate(1500);
  EXPECT_EQ(cache.length(), 1000);
  // The query at 1000 sees 991; 64 positions behind it are kept, so the page from 896 on. A query at 905 sees 896.
  cache.truncate(905);
  EXPECT_EQ(cache.length(), 905);
  EXPECT_EQ(number_at(cache, 896), 1);
  cache.truncate(904);
  EXPECT_EQ(cache.length(), 0);
  EXPECT_EQ(cache.bytes(), 0U);
}

TEST(KvCache, AWindowGivesBackWhatNoQuerySees) {
  const spec::DecoderSpec spec = one_head(100);
  KvCache cache = *KvCache::make(spec, 100'000, KvType::kF32);
  uint64_t most = 0;
  for (int chunk = 1; cache.length() < 5000; chunk = chunk * 7 % (kPrefillChunk + 1)) {
    append(cache, chunk, 1);
    most = std::max(most, cache.bytes());
  }
  EXPECT_LE(most, KvCache::bytes_for(spec, 100'000, KvType::kF32));
  EXPECT_LT(most, 2U * 16 * 600);
}

// Half of the far pages of every other layer: the reports' 78% at 8k, 75% in the end.
TEST(KvCache, BlockSparseLayersGiveBackWhatNoQueryHeadSees) {
  spec::DecoderSpec spec = spec::variants()[4];
  ASSERT_EQ(spec.name, "phi3-small-8k");
  spec.n_layers = 2;
  spec.head_dim = 4;
  const spec::BlockSparseLists lists(spec.block_sparse, spec.n_heads, spec.n_kv_heads, spec.context);
  KvCache cache = *KvCache::make(spec, spec.context, KvType::kF32);
  KvAccess access(cache);
  uint64_t most = 0;
  for (int chunk = 1; cache.length() < spec.context; chunk = chunk * 7 % (kPrefillChunk + 1)) {
    const int tokens = std::min(chunk, spec.context - cache.length());
    ASSERT_TRUE(access.reserve(tokens));
    access.advance(tokens);
    most = std::max(most, cache.bytes());
  }
  const uint64_t all = uint64_t{2} * 4 * sizeof(float) * 2 * 8 * 8192;
  EXPECT_LE(most, KvCache::bytes_for(spec, spec.context, KvType::kF32));
  EXPECT_LT(cache.bytes(), all * 79 / 100);
  EXPECT_LT(KvCache::bytes_for(spec, spec.context, KvType::kF32), all * 80 / 100);
  for (int head = 0; head < 8; ++head) {
    for (const auto& far : lists.far(head, 127)) EXPECT_NE(access.key(0, head, far.block * 64), nullptr);
    EXPECT_NE(access.key(1, head, 0), nullptr);
  }
  EXPECT_EQ(access.key(0, 0, 0), nullptr);
  EXPECT_NE(access.key(0, 1, 0), nullptr);
  cache.truncate(8192 - kPageTokens);
  EXPECT_EQ(cache.length(), 8192 - kPageTokens);
  cache.truncate(7000);  // whose near blocks are gone
  EXPECT_EQ(cache.length(), 0);
}

// Read in pieces that give back as late as may be.
TEST(KvCache, ABlockSparsePlanIsTheMostThatIsHeld) {
  spec::DecoderSpec spec = spec::variants()[4];
  spec.n_layers = 1;
  spec.head_dim = 4;
  spec.block_sparse.dense_every = 0;
  for (const int capacity : {8192, 8100, 7777}) {
    for (int behind = kPrefillChunk; behind < kPrefillChunk + 2 * kPageTokens; behind += 3) {
      KvCache cache = *KvCache::make(spec, capacity, KvType::kF32);
      KvAccess access(cache);
      while (cache.length() < capacity) {
        const int left = capacity - behind - cache.length();
        const int tokens =
            left > 0 ? std::min(left, kPrefillChunk) : std::min(capacity - cache.length(), kPrefillChunk);
        ASSERT_TRUE(access.reserve(tokens));
        EXPECT_LE(cache.bytes(), KvCache::bytes_for(spec, capacity, KvType::kF32)) << capacity << " " << behind;
        access.advance(tokens);
      }
    }
  }
}

TEST(KvCache, ShortOnesTruncateAnywhere) {
  KvCache cache = *KvCache::make(one_head(10), 100, KvType::kF32);
  append(cache, 50, 1);
  cache.truncate(3);
  EXPECT_EQ(cache.length(), 3);
  cache.truncate(-1);
  EXPECT_EQ(cache.length(), 0);
}

TEST(KvCache, ForksShareTheirBeginningAndNothingElse) {
  KvCache first = *KvCache::make(one_head(0), 1000, KvType::kF32);
  append(first, 200, 1);
  KvCache second = first.fork(150), third = first.fork(500);
  EXPECT_EQ(second.length(), 150);
  EXPECT_EQ(third.length(), 200);
  // The page of position 150 is shared until someone writes to it.
  EXPECT_EQ(KvAccess(second).key(0, 0, 149), KvAccess(first).key(0, 0, 149));
  append(second, 100, 2);
  append(third, 100, 3);
  append(first, 100, 4);
  EXPECT_EQ(KvAccess(second).key(0, 0, 5), KvAccess(first).key(0, 0, 5));
  EXPECT_NE(KvAccess(second).key(0, 0, 149), KvAccess(first).key(0, 0, 149));
  for (int position = 0; position < 250; ++position) {
    EXPECT_EQ(number_at(first, position), position < 200 ? 1 : 4);
    EXPECT_EQ(number_at(second, position), position < 150 ? 1 : 2);
    EXPECT_EQ(number_at(third, position), position < 200 ? 1 : 3);
  }
}

TEST(KvCache, PagesOfAForkOutliveItsOrigin) {
  auto first = std::make_unique<KvCache>(*KvCache::make(one_head(0), 1000, KvType::kF32));
  append(*first, 200, 1);
  KvCache second = first->fork(130);
  first.reset();
  append(second, 100, 2);
  EXPECT_EQ(number_at(second, 129), 1);
  EXPECT_EQ(number_at(second, 130), 2);
}

TEST(KvCache, AForkBehindTheWindowIsEmpty) {
  KvCache first = *KvCache::make(one_head(10), 2000, KvType::kF32);
  while (first.length() < 1000) append(first, 100, 1);
  EXPECT_EQ(first.fork(950).length(), 950);
  EXPECT_EQ(first.fork(500).length(), 0);
  EXPECT_EQ(first.length(), 1000);
}

}  // namespace
}  // namespace phial::model
