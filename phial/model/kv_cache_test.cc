#include "phial/model/kv_cache.h"

#include <gtest/gtest.h>

#include "phial/model/kv_access.h"
#include "phial/spec/variants.h"

namespace phial::model {
namespace {

TEST(KvCache, TakesWhatTheFamilyIsKnownToTake) {
  const spec::DecoderSpec& mini = spec::variants()[0];
  EXPECT_EQ(KvCache::bytes_for(mini, 1, KvType::kF16), 393'216U);
  EXPECT_EQ(KvCache::bytes_for(mini, 1000, KvType::kF16), 393'216'000U);
  // A window of 2047 bounds it, whatever the context.
  EXPECT_EQ(KvCache::bytes_for(mini, 4096, KvType::kF16), 393'216U * (2047 + kPrefillChunk));
}

TEST(KvCache, BlocksOf32ShareAScale) {
  EXPECT_EQ(row_bytes(KvType::kF32, 96), 384U);
  EXPECT_EQ(row_bytes(KvType::kF16, 96), 192U);
  EXPECT_EQ(row_bytes(KvType::kQ8, 96), 3 * 34U);
  EXPECT_EQ(row_bytes(KvType::kQ4, 96), 3 * 20U);
  EXPECT_EQ(row_bytes(KvType::kQ8, 8), 34U);
  EXPECT_EQ(row_bytes(KvType::kQ4, 100), 4 * 20U);
  const spec::DecoderSpec& mini = spec::variants()[0];
  EXPECT_EQ(KvCache::bytes_for(mini, 1000, KvType::kQ8), 393'216'000U / 192 * 102);
  const auto cache = KvCache::make(mini, 10, KvType::kQ4);
  ASSERT_TRUE(cache);
  EXPECT_EQ(cache->type(), KvType::kQ4);
  EXPECT_GE(cache->bytes(), 393'216U * 10 / 192 * 60);
}

TEST(KvCache, TruncationKeepsWhatAQueryWillSee) {
  spec::DecoderSpec spec = spec::variants()[0];
  spec.n_layers = spec.n_heads = spec.n_kv_heads = 1;
  spec.sliding_window = 10;
  KvCache cache = *KvCache::make(spec, 2000, KvType::kF32);
  KvAccess access(cache);
  access.advance(1000);
  cache.truncate(1500);
  EXPECT_EQ(cache.length(), 1000);
  // The ring holds the positions from 1000 - 266 = 734 on; a query at 743 sees 734 and later.
  cache.truncate(743);
  EXPECT_EQ(cache.length(), 743);
  cache.truncate(742);
  EXPECT_EQ(cache.length(), 0);
}

TEST(KvCache, ShortOnesTruncateAnywhere) {
  spec::DecoderSpec spec = spec::variants()[0];
  spec.sliding_window = 10;
  KvCache cache = *KvCache::make(spec, 100, KvType::kF16);
  KvAccess access(cache);
  access.advance(100);
  cache.truncate(3);
  EXPECT_EQ(cache.length(), 3);
  cache.truncate(-1);
  EXPECT_EQ(cache.length(), 0);
}

}  // namespace
}  // namespace phial::model
