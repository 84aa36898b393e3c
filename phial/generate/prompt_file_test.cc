#include "phial/generate/prompt_file.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <string>
#include <vector>

#include "phial/base/mapped_file.h"
#include "phial/generate/engine.h"
#include "phial/generate/golden_models_for_test.h"
#include "phial/model/kv_access.h"
#include "phial/spec/block_sparse.h"

namespace phial::generate {
namespace {
namespace fs = std::filesystem;

constexpr uint64_t kNoLimit = UINT64_MAX;

class PromptFile : public testing::Test {
 protected:
  PromptFile()
      : path_(fs::path(testing::TempDir()) /
              (std::string("phial_prompts_") + testing::UnitTest::GetInstance()->current_test_info()->name())) {
    fs::remove(path_);
  }
  ~PromptFile() override { fs::remove(path_); }
  PromptFile(const PromptFile&) = delete;
  PromptFile& operator=(const PromptFile&) = delete;

  EngineOptions options() const { return {.prompt_cache = path_}; }
  std::string opening_error(const std::string& model, const EngineOptions& options) {
    const auto engine = Engine::open(golden(model), options, pool_);
    return engine ? "" : engine.error().text();
  }
  std::string bytes() const { return read_text_file(path_).has_value() ? *read_text_file(path_) : ""; }
  void replace(const std::string& bytes) const { std::ofstream(path_, std::ios::binary) << bytes; }

  ThreadPool pool_{2};
  fs::path path_;
};

std::vector<int32_t> some_ids(int n, int first) {
  std::vector<int32_t> ids(static_cast<size_t>(n));
  for (int i = 0; i < n; ++i) ids[static_cast<size_t>(i)] = 5 + (first + i * 7) % 90;
  return ids;
}

// Of one layer and key-value head, each position's keys and values its own number.
spec::DecoderSpec tiny(int window) {
  spec::DecoderSpec spec;
  spec.n_layers = spec.n_heads = spec.n_kv_heads = 1;
  spec.head_dim = 4;
  spec.sliding_window = window;
  return spec;
}

spec::DecoderSpec tiny_sparse() {
  spec::DecoderSpec spec = tiny(0);
  spec.n_heads = 2;
  spec.block_sparse = {.block = 16, .local_blocks = 3, .stride = 31};
  return spec;
}

// Reads all that a query behind the last position sees, in every page where it stands.
void expect_readable(model::KvCache& cache, const spec::DecoderSpec& spec) {
  const model::KvAccess access(cache);
  const int length = access.length();
  const auto expect_number = [&](int p) {
    const float key = *reinterpret_cast<float*>(access.key(0, 0, p));
    EXPECT_EQ(key, *reinterpret_cast<float*>(access.value(0, 0, p)));
  };
  int near = spec.sliding_window == 0 ? 0 : std::max(0, length - spec.sliding_window + 1);
  if (spec.block_sparse.active()) {
    const int block = spec.block_sparse.block;
    const spec::BlockSparseLists lists(spec.block_sparse, spec.n_heads, spec.n_kv_heads, 1000);
    near = lists.first_local(length / block) * block;
    for (const auto& entry : lists.far(0, length / block)) {
      for (int p = entry.block * block; p < std::min(length, (entry.block + 1) * block); ++p) expect_number(p);
    }
  }
  for (int p = near; p < length; ++p) expect_number(p);
}

CachedSequence sequence_of(const model::KvCache& empty, int tokens) {
  CachedSequence sequence = {.ids = some_ids(tokens, 0), .cache = empty.fork(0)};
  model::KvAccess access(sequence.cache);
  EXPECT_TRUE(access.reserve(tokens));
  for (int t = 0; t < tokens; ++t) {
    for (std::byte* row : {access.key(0, 0, t), access.value(0, 0, t)}) {
      std::fill_n(reinterpret_cast<float*>(row), 4, static_cast<float>(t));
    }
  }
  for (int t = 0; t < tokens; t += 64) access.advance(std::min(64, tokens - t));
  return sequence;
}

TEST_F(PromptFile, ALaterRunGoesOnFromItToTheSameBits) {
  // A window that pages fall behind, block-sparse layers, LongRoPE, and none of these.
  for (const std::string model : {"phi3-mini-like", "phi3-small-like", "phi3-128k-like", "llama-like"}) {
    for (const model::KvType type : {model::KvType::kF16, model::KvType::kQ8, model::KvType::kQ4}) {
      SCOPED_TRACE(model + " " + model::name_of(type));
      fs::remove(path_);
      EngineOptions with = options(), without = options();
      with.kv_type = without.kv_type = type;
      without.prompt_cache.clear();
      const auto plain = open(golden(model), pool_, without);
      const int most = std::min(plain->context_tokens() - 30, 300);
      const std::vector<int32_t> prompt = some_ids(most, 1), other = some_ids(70, 50);
      {
        const auto first = open(golden(model), pool_, with);
        ASSERT_TRUE(first->generate(request_of(prompt, 4), nullptr));
        const Status written = first->write_prompt_cache();
        ASSERT_TRUE(written) << written.error().text();
      }
      std::vector<int32_t> longer = prompt;
      longer.insert(longer.end(), {9, 8, 7});
      for (const auto& ids : {longer, other}) {
        const auto later = open(golden(model), pool_, with);
        const auto found = later->generate(request_of(ids, 20), nullptr);
        const auto wanted = plain->generate(request_of(ids, 20), nullptr);
        ASSERT_TRUE(found && wanted);
        // A context as short as those of these models keeps one sequence; `other` begins otherwise.
        EXPECT_EQ(found->reused_tokens, ids == other ? 0 : most);
        expect_same(*found, *wanted);
      }
    }
  }
}

TEST_F(PromptFile, AnExactRunKeepsItsOwn) {
  EngineOptions exact = options();
  exact.precision = model::Precision::kExact;
  const auto engine = open(golden("llama-like"), pool_, exact);
  ASSERT_TRUE(engine->generate(request_of(some_ids(70, 1), 2), nullptr));
  ASSERT_TRUE(engine->write_prompt_cache());
  EXPECT_EQ(opening_error("llama-like", exact), "");
  EXPECT_NE(opening_error("llama-like", options()).find("of another model or type"), std::string::npos);
}

TEST_F(PromptFile, WhatDoesNotBelongThereIsNamedAndStays) {
  const auto engine = open(golden("llama-like"), pool_, options());
  ASSERT_TRUE(engine->generate(request_of(some_ids(70, 1), 2), nullptr));
  ASSERT_TRUE(engine->write_prompt_cache());
  const std::string whole = bytes();
  const auto expect_refused = [&](const std::string& model, const char* why) {
    const std::string before = bytes(), error = opening_error(model, options());
    EXPECT_NE(error.find(path_.string()), std::string::npos) << error;
    EXPECT_NE(error.find(why), std::string::npos) << error;
    EXPECT_EQ(error.find('\n'), std::string::npos);
    EXPECT_EQ(bytes(), before);
  };
  expect_refused("llama-biased", "another model");
  replace("A diary, not a cache of any kind.");
  expect_refused("llama-like", "is no prompt cache");
  for (const size_t at : {size_t{30}, whole.size() / 2, whole.size() - 1}) {
    std::string changed = whole;
    changed[at] = static_cast<char>(changed[at] ^ 4);
    replace(changed);
    expect_refused("llama-like", "is damaged");
    replace(whole.substr(0, at));
    expect_refused("llama-like", "is damaged");
  }
  replace(whole);
  EXPECT_EQ(opening_error("llama-like", options()), "");
  replace("");  // of mktemp
  EXPECT_EQ(opening_error("llama-like", options()), "");
  std::string later = whole;
  later[8] = 2;
  replace(later);
  expect_refused("llama-like", "has version 2, version 1 is read");
}

TEST_F(PromptFile, WhatCameThereMeanwhileIsNotWrittenOver) {
  const auto engine = open(golden("llama-like"), pool_, options());
  ASSERT_TRUE(engine->generate(request_of(some_ids(70, 1), 2), nullptr));
  replace("A diary, not a cache of any kind.");
  const Status written = engine->write_prompt_cache();
  ASSERT_FALSE(written);
  EXPECT_NE(written.error().text().find("is no prompt cache"), std::string::npos);
  EXPECT_EQ(bytes(), "A diary, not a cache of any kind.");
}

TEST_F(PromptFile, ItsOwnerAloneReadsItUnlessItWasOpenToOthers) {
  const model::KvCache empty = *model::KvCache::make(tiny(0), 100, model::KvType::kF32);
  ASSERT_TRUE(write_prompt_file(path_, 1, {}, empty));
  EXPECT_EQ(fs::status(path_).permissions(), fs::perms::owner_read | fs::perms::owner_write);
  fs::permissions(path_, fs::perms(0640));
  ASSERT_TRUE(write_prompt_file(path_, 1, {}, empty));
  EXPECT_EQ(fs::status(path_).permissions(), fs::perms(0640));
}

TEST_F(PromptFile, ASequenceTooLongForThisContextIsLeftOut) {
  EngineOptions narrow = options();
  narrow.context_tokens = 100;
  for (const auto& [length, known] : {std::pair(110, 0), std::pair(90, 79)}) {
    const auto engine = open(golden("llama-like"), pool_, options());
    ASSERT_TRUE(engine->generate(request_of(some_ids(length, 1), 1), nullptr));
    ASSERT_TRUE(engine->write_prompt_cache());
    const auto later = open(golden("llama-like"), pool_, narrow);
    EXPECT_EQ(later->generate(request_of(some_ids(80, 1), 1), nullptr)->reused_tokens, known);
    fs::remove(path_);
  }
}

TEST_F(PromptFile, WhatAFolderCannotTakeIsAnErrorAndTheOldFileStays) {
  const auto engine = open(golden("llama-like"), pool_, {.prompt_cache = path_ / "no" / "where"});
  ASSERT_TRUE(engine->generate(request_of(some_ids(70, 1), 2), nullptr));
  const Status written = engine->write_prompt_cache();
  ASSERT_FALSE(written);
  EXPECT_NE(written.error().text().find(path_.string()), std::string::npos) << written.error().text();
}

TEST_F(PromptFile, MoreThanThereIsRoomForIsLeftOut) {
  const model::KvCache empty = *model::KvCache::make(tiny(0), 1000, model::KvType::kF32);
  std::list<CachedSequence> all;
  for (const int tokens : {100, 200, 300}) all.push_back(sequence_of(empty, tokens));
  ASSERT_TRUE(write_prompt_file(path_, 1, all, empty));
  const uint64_t page = all.front().cache.bytes() / 2;  // two pages
  for (const auto& [room, n] : {std::pair(1, 0U), {2, 1U}, {5, 1U}, {6, 2U}, {11, 3U}}) {
    const auto read = read_prompt_file(path_, 1, empty, page * static_cast<uint64_t>(room));
    ASSERT_TRUE(read) << read.error().text();
    EXPECT_EQ(read->size(), n) << room;
  }
}

TEST_F(PromptFile, PagesThatAreSharedStandThereOnce) {
  const model::KvCache empty = *model::KvCache::make(tiny(0), 1000, model::KvType::kF32);
  std::list<CachedSequence> all;
  all.push_back(sequence_of(empty, 640));
  ASSERT_TRUE(write_prompt_file(path_, 1, all, empty));
  const auto one = fs::file_size(path_);
  all.push_back({.ids = some_ids(600, 0), .cache = all.front().cache.fork(600)});
  ASSERT_TRUE(write_prompt_file(path_, 1, all, empty));
  EXPECT_LT(fs::file_size(path_), one + 4000);
  const auto read = read_prompt_file(path_, 1, empty, kNoLimit);
  ASSERT_TRUE(read) << read.error().text();
  ASSERT_EQ(read->size(), 2U);
  model::KvCache again = (*read)[1].cache.fork(600);
  EXPECT_EQ(*reinterpret_cast<float*>(model::KvAccess(again).key(0, 0, 599)), 599);
}

TEST_F(PromptFile, WhatStandsBehindAPictureIsLeftOut) {
  const model::KvCache empty = *model::KvCache::make(tiny(0), 1000, model::KvType::kF32);
  std::list<CachedSequence> all;
  all.push_back(sequence_of(empty, 200));
  all.front().ids[150] = -3;
  all.push_back(sequence_of(empty, 100));
  all.back().ids[0] = -1;
  ASSERT_TRUE(write_prompt_file(path_, 1, all, empty));
  const auto read = read_prompt_file(path_, 1, empty, kNoLimit);
  ASSERT_TRUE(read) << read.error().text();
  ASSERT_EQ(read->size(), 1U);
  EXPECT_EQ(read->front().ids.size(), 150U);
  EXPECT_EQ(read->front().cache.length(), 150);
}

TEST_F(PromptFile, PagesThatNobodyWillSeeAgainStayAway) {
  for (const spec::DecoderSpec& spec : {tiny(100), tiny_sparse()}) {
    const model::KvCache empty = *model::KvCache::make(spec, 1000, model::KvType::kF32);
    std::list<CachedSequence> all;
    all.push_back(sequence_of(empty, 700));
    ASSERT_LT(all.front().cache.bytes(),
              sequence_of(*model::KvCache::make(tiny(0), 1000, model::KvType::kF32), 700).cache.bytes());
    ASSERT_TRUE(write_prompt_file(path_, 1, all, empty));
    auto read = read_prompt_file(path_, 1, empty, kNoLimit);
    ASSERT_TRUE(read) << read.error().text();
    EXPECT_EQ(read->front().cache.bytes(), all.front().cache.bytes());
    expect_readable(read->front().cache, spec);
  }
}

// Every number before the pages in turn: counts, lengths, ids, page numbers.
TEST_F(PromptFile, WhateverTheBytesSayTheCachesCanBeRead) {
  for (const spec::DecoderSpec& spec : {tiny(100), tiny_sparse()}) {
    const model::KvCache empty = *model::KvCache::make(spec, 1000, model::KvType::kF32);
    std::list<CachedSequence> all;
    all.push_back(sequence_of(empty, 700));
    ASSERT_TRUE(write_prompt_file(path_, 1, all, empty));
    const std::string whole = bytes();
    int refused = 0, taken = 0;
    const size_t pages_begin = whole.size() - 8 - all.front().cache.bytes();
    for (size_t at = 8; at < pages_begin; at += 4) {
      for (const uint32_t value : {0U, 1U, 64U, 448U, 0x7FFFFFFFU, 0xFFFFFFFFU}) {
        std::string changed = whole.substr(0, whole.size() - 8);
        std::memcpy(changed.data() + at, &value, sizeof value);
        auto read = parse_prompts(std::as_bytes(std::span(changed)), 1, empty, kNoLimit);
        if (!read) {
          ++refused;
          continue;
        }
        ++taken;
        for (CachedSequence& sequence : *read) {
          expect_readable(sequence.cache, spec);
          ASSERT_TRUE(model::KvAccess(sequence.cache).reserve(70));
          sequence.truncate(sequence.ids.size() - 1);
          expect_readable(sequence.cache, spec);
        }
      }
    }
    EXPECT_GT(refused, 100);
    EXPECT_GT(taken, 100);  // ids and factors may be anything
  }
}

}  // namespace
}  // namespace phial::generate
