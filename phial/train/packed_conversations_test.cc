#include "phial/train/packed_conversations.h"

#include <gtest/gtest.h>

#include <map>

#include "phial/base/random.h"

namespace phial::train {
namespace {

// Of random lengths; the ids tell which it is.
std::vector<TokenizedAnswer> conversations(int count, uint64_t seed, int32_t first_id = 1) {
  Random random(seed);
  std::vector<TokenizedAnswer> all;
  for (int i = 0; i < count; ++i) {
    const size_t prompt = 1 + random.below(6), answer = 1 + random.below(18);
    TokenizedAnswer one;
    one.ids.assign(prompt + answer, first_id + i);
    one.is_answer.assign(prompt, false);
    one.is_answer.insert(one.is_answer.end(), answer, true);
    all.push_back(std::move(one));
  }
  return all;
}

std::map<int64_t, int> documents_seen(const PackedConversations& packed) {
  std::map<int64_t, int> seen;
  for (uint64_t r = 0; r < packed.rows(); ++r) {
    const auto batch = packed.batch(r, 1);
    EXPECT_TRUE(batch);
    for (int64_t at = 0; at < batch->ids.size(1); ++at) {
      const bool begins = batch->documents[0][at].item<int64_t>() >= 0 && batch->positions[0][at].item<int64_t>() == 0;
      if (begins) ++seen[batch->ids[0][at].item<int64_t>()];
    }
  }
  return seen;
}

TEST(PackedConversations, EveryConversationIsWholeInOneRowOnceAnEpoch) {
  const auto all = conversations(40, 1);
  const PackedConversations packed({all}, {.sequence_tokens = 32, .epochs = 3, .seed = 5});
  const auto seen = documents_seen(packed);
  ASSERT_EQ(seen.size(), 40U);
  for (const auto& [id, times] : seen) EXPECT_EQ(times, 3) << id;
  for (uint64_t r = 0; r < packed.rows(); ++r) {
    const auto batch = packed.batch(r, 1);
    ASSERT_TRUE(batch);
    EXPECT_LE(batch->ids.size(1), 32);
    std::map<int64_t, size_t> lengths, targets;
    for (int64_t at = 0; at < batch->ids.size(1); ++at) {
      const auto id = batch->ids[0][at].item<int64_t>();
      if (batch->documents[0][at].item<int64_t>() < 0) continue;
      ++lengths[id];
      const auto target = batch->targets[0][at].item<int64_t>();
      if (target == kIgnored) continue;
      EXPECT_EQ(target, id);
      ++targets[id];
    }
    for (const auto& [id, length] : lengths) {
      const TokenizedAnswer& own = all[static_cast<size_t>(id - 1)];
      EXPECT_EQ(length, own.ids.size());
      EXPECT_EQ(targets[id], static_cast<size_t>(std::count(own.is_answer.begin(), own.is_answer.end(), true)));
    }
  }
}

TEST(PackedConversations, RowsAreNearlyFull) {
  const auto all = conversations(500, 2);
  size_t tokens = 0;
  for (const TokenizedAnswer& one : all) tokens += one.ids.size();
  const PackedConversations packed({all}, {.sequence_tokens = 64});
  EXPECT_LE(packed.rows(), tokens / 64 + 3);
}

TEST(PackedConversations, WeightsSayHowOftenAFileIsSeen) {
  const auto often = conversations(10, 3, 1), seldom = conversations(10, 4, 101);
  const PackedConversations packed({often, seldom}, {.sequence_tokens = 32, .epochs = 2, .weights = {1.5, 0.25}});
  int of_often = 0, of_seldom = 0;
  for (const auto& [id, times] : documents_seen(packed)) (id < 100 ? of_often : of_seldom) += times;
  EXPECT_EQ(of_often, 30);
  EXPECT_EQ(of_seldom, 5);
  // What one epoch leaves out, the next one takes.
  const PackedConversations halves({seldom}, {.sequence_tokens = 32, .epochs = 2, .weights = {0.5}});
  const auto seen = documents_seen(halves);
  EXPECT_EQ(seen.size(), 10U);
}

TEST(PackedConversations, TheOrderIsTheSeedsAndRowsComeAgainAtTheEnd) {
  const auto all = conversations(40, 1);
  const PackingOptions options = {.sequence_tokens = 32, .seed = 7};
  const PackedConversations one({all}, options), same({all}, options);
  const PackedConversations other({all}, {.sequence_tokens = 32, .seed = 8});
  bool differs = one.rows() != other.rows();
  for (uint64_t r = 0; r < one.rows(); ++r) {
    EXPECT_TRUE(at::equal(one.batch(r, 1)->ids, same.batch(r, 1)->ids));
    EXPECT_TRUE(at::equal(one.batch(r, 1)->ids, one.batch(r + one.rows(), 1)->ids));
    if (!differs) differs = !at::equal(one.batch(r, 1)->ids, other.batch(r, 1)->ids);
  }
  EXPECT_TRUE(differs);
  EXPECT_EQ(one.fingerprint(), other.fingerprint());
  EXPECT_NE(one.fingerprint(), PackedConversations({conversations(40, 9)}, options).fingerprint());
}

}  // namespace
}  // namespace phial::train
