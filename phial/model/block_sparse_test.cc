// The block-sparse layers of Phi-3-small against the reference's mask, and what their lists of blocks promise.
#include "phial/spec/block_sparse.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "phial/model/attention.h"
#include "phial/model/golden_files.h"

namespace phial::model {
namespace {

using testing::HasSubstr;

bool lists_show(const spec::BlockSparseLists& lists, const spec::DecoderSpec& spec, int head, int query, int key) {
  const int per_kv = spec.n_heads / spec.n_kv_heads, block = spec.block_sparse.block;
  if (key > query) return false;
  if (key / block >= lists.first_local(query / block)) return true;
  for (const auto& entry : lists.far(head / per_kv, query / block)) {
    if (entry.block == key / block) return (entry.heads >> (head % per_kv) & 1) != 0;
  }
  return false;
}

TEST(BlockSparse, ListsShowWhatTheReferencesMaskShows) {
  const auto spec = *Decoder::read_spec(*open_model(golden("phi3-small-like")));
  const auto expected = open_model(golden("phi3-small-like") / "expected.safetensors");
  const formats::Tensor* mask = expected->find("sparse_mask");
  ASSERT_NE(mask, nullptr);
  ASSERT_EQ(mask->shape.size(), 3U);
  const auto T = static_cast<int>(mask->shape[1]);
  const size_t bytes = mask->bytes.size() / mask->elements();
  const auto is_set = [&](size_t i) {
    return std::ranges::any_of(mask->bytes.subspan(i * bytes, bytes), [](std::byte b) { return b != std::byte{0}; });
  };
  const spec::BlockSparseLists lists(spec.block_sparse, spec.n_heads, spec.n_kv_heads, T);
  size_t at = 0, seen = 0;
  for (int head = 0; head < spec.n_heads; ++head) {
    for (int query = 0; query < T; ++query) {
      for (int key = 0; key < T; ++key, ++at) {
        seen += is_set(at) ? 1 : 0;
        ASSERT_EQ(lists_show(lists, spec, head, query, key), is_set(at)) << head << " " << query << " " << key;
      }
    }
  }
  EXPECT_GT(seen, mask->elements() / 8);
  EXPECT_LT(seen, mask->elements() / 2);
}

std::unique_ptr<Decoder> small_with(const spec::BlockSparse& pattern, ThreadPool& pool) {
  const auto checkpoint = open_model(golden("phi3-small-like"));
  auto spec = *Decoder::read_spec(*checkpoint);
  spec.block_sparse = pattern;
  auto decoder = Decoder::load(checkpoint, spec, Precision::kFast, pool);
  EXPECT_TRUE(decoder) << decoder.error().text();
  return *std::move(decoder);
}

TEST(BlockSparse, UpToTheLocalBlocksALayerIsDenseToTheBit) {
  ThreadPool pool(2);
  const auto ids = long_text(300, 384);
  const auto dense = run_all(*small_with({}, pool), ids);
  for (const int block : {4, 7, 16}) {
    const spec::BlockSparse pattern = {.block = block, .local_blocks = 5, .stride = 3, .dense_every = 2};
    const auto sparse = run_all(*small_with(pattern, pool), ids);
    const auto same = static_cast<size_t>(pattern.dense_tokens()) * 400;
    ASSERT_EQ(sparse.size(), dense.size());
    EXPECT_TRUE(std::equal(dense.begin(), dense.begin() + static_cast<ptrdiff_t>(same), sparse.begin())) << block;
    EXPECT_NE(sparse, dense) << block;
  }
}

// A stride of 1 and, beyond the last position, many local blocks show everything.
TEST(BlockSparse, PatternsThatHideNothingAreDense) {
  ThreadPool pool(2);
  const auto ids = long_text(300, 384);
  const auto dense = run_all(*small_with({}, pool), ids);
  EXPECT_EQ(run_all(*small_with({.block = 8, .local_blocks = 100, .stride = 3}, pool), ids), dense);
  const auto every = run_all(*small_with({.block = 8, .local_blocks = 2, .stride = 1}, pool), ids);
  EXPECT_EQ(every, dense);
}

TEST(BlockSparse, AnyPatternHasTheSameBitsForAnyRowsAndThreads) {
  const auto ids = long_text(130, 384);
  ThreadPool one(1), two(2), seven(7);
  for (const spec::BlockSparse& pattern :
       {spec::BlockSparse{1, 2, 2, 3, false}, spec::BlockSparse{5, 2, 3, 2, false},
        spec::BlockSparse{5, 1, 8, 0, false}, spec::BlockSparse{3, 2, 20, 3, false},
        spec::BlockSparse{5, 2, 4, 2, true}, spec::BlockSparse{48, 1, 2, 2, false}}) {
    const auto wanted = run_all(*small_with(pattern, one), ids);
    EXPECT_EQ(run_all(*small_with(pattern, seven), ids), wanted) << "stride " << pattern.stride;
    const auto decoder = small_with(pattern, two);
    for (const size_t step : {1, 3, 64}) {
      auto cache = decoder->make_cache(130);
      std::vector<float> all;
      for (size_t i = 0; i < ids.size(); i += step) {
        const auto rows = std::span(ids).subspan(i, std::min(step, ids.size() - i));
        const auto logits = run(*decoder, *cache, rows, LogitsOf::kAll);
        all.insert(all.end(), logits.begin(), logits.end());
      }
      EXPECT_EQ(all, wanted) << "stride " << pattern.stride << " block " << pattern.block << " step " << step;
    }
  }
}

// Pages are given back while the text is read row by row, and may be after a chunk of it only: the same is computed.
TEST(BlockSparse, NothingIsReadOfPagesThatWereGivenBack) {
  const auto ids = long_text(512, 384);
  ThreadPool pool(2);
  const auto decoder = small_with({.block = 32, .local_blocks = 1, .stride = 8, .dense_every = 4}, pool);
  const auto wanted = run_all(*decoder, ids);
  auto cache = decoder->make_cache(512), whole = decoder->make_cache(512);
  run(*decoder, *whole, std::span(ids).first(256), LogitsOf::kNone);
  std::vector<float> all;
  for (const int32_t id : ids) {
    const auto logits = run(*decoder, *cache, {&id, 1}, LogitsOf::kLast);
    all.insert(all.end(), logits.begin(), logits.end());
  }
  EXPECT_EQ(all, wanted);
  EXPECT_LT(cache->bytes(), 2 * whole->bytes());
  EXPECT_LE(cache->bytes(), KvCache::bytes_for(decoder->spec(), 512, KvType::kF16));
}

TEST(BlockSparse, AContextBeyondTheModelsIsRefused) {
  ThreadPool pool(1);
  const auto decoder = load_model(golden("phi3-small-like"), Precision::kFast, pool);
  EXPECT_TRUE(decoder->make_cache(512));
  const auto cache = decoder->make_cache(513);
  ASSERT_FALSE(cache);
  EXPECT_THAT(cache.error().message, HasSubstr("reaches 512"));
}

// Of a head apart keys are read once a tile, of all heads together once a tile for all of them.
TEST(QueryTiles, FewTokensReadNoKeyMoreOftenThanAllHeadsTogetherWould) {
  const auto tiles = [](int tokens, int of) { return (tokens + of - 1) / of; };
  for (const int heads : {2, 3, 4, 8}) {
    for (int keys = 1; keys <= 200000; keys += 1 + keys / 50) {
      const QueryTile one = query_tile(1, keys, heads);
      ASSERT_EQ(one.heads, heads) << keys;
      for (int tokens = 2; tokens < 64; ++tokens) {
        const QueryTile tile = query_tile(tokens, keys, heads);
        const int reads = heads / tile.heads * tiles(tokens, tile.tokens);
        ASSERT_LE(reads, tiles(tokens, one.tokens)) << tokens << " tokens of " << heads << " heads over " << keys;
      }
    }
  }
}

TEST(QueryTiles, HeadsOfAPromptAreApartOnlyBehindManyKeys) {
  for (const int keys : {256, 512, 1024}) EXPECT_EQ(query_tile(256, keys, 4).heads, 4) << keys;
  for (const int keys : {4096, 32768, 131072}) EXPECT_EQ(query_tile(256, keys, 4).heads, 1) << keys;
}

}  // namespace
}  // namespace phial::model
