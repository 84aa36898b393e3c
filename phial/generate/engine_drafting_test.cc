// Drafting changes how many steps an answer takes and nothing else: everything here is compared to the bit with plain
// decoding.

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "phial/base/default_models_for_test.h"
#include "phial/base/json.h"
#include "phial/generate/engine.h"
#include "phial/generate/golden_models_for_test.h"

namespace phial::generate {
namespace {

using Ids = std::vector<int32_t>;

EngineOptions plain() { return {.drafting = Drafting::kOff}; }
EngineOptions lookup(int draft_tokens) { return {.draft_tokens = draft_tokens}; }
// Drafted greedily by `model` itself, greedy answers are right in every token.
EngineOptions drafted_by(const std::string& model, int draft_tokens) {
  return {.drafting = Drafting::kModel, .draft_model = golden(model), .draft_tokens = draft_tokens};
}

// A prompt that says the same again and again, cut in the middle.
Ids repeating(size_t length, int period) {
  Ids ids;
  for (size_t i = 0; i < length; ++i) ids.push_back(5 + static_cast<int32_t>(i) % period * 7);
  return ids;
}

struct Told {
  Generation generation;
  std::string streamed;
};

Told run(Engine& engine, const GenerateRequest& request) {
  Told told;
  auto generation = engine.generate(request, [&](std::string_view piece) { told.streamed += piece; });
  EXPECT_TRUE(generation) << generation.error().text();
  if (generation) told.generation = *std::move(generation);
  return told;
}

void expect_same(const Told& found, const Told& wanted) {
  expect_same(found.generation, wanted.generation);
  EXPECT_EQ(found.streamed, wanted.streamed);
}

std::vector<SamplingOptions> ways_to_sample() {
  return {{},
          {.temperature = 0.3F, .seed = 1},
          {.temperature = 0.8F, .top_k = 4, .seed = 2},
          {.temperature = 1, .top_p = 0.9F, .min_p = 0.05F, .repeat_penalty = 1.1F, .seed = 3},
          {.repeat_penalty = 1.2F}};
}

class DraftedModel : public testing::TestWithParam<const char*> {};

TEST_P(DraftedModel, WritesWhatItWouldWriteWithoutDrafts) {
  ThreadPool pool(1);
  for (const auto precision : {model::Precision::kExact, model::Precision::kFast}) {
    EngineOptions off = plain();
    off.precision = precision;
    const auto reference = open(golden(GetParam()), pool, off);
    ASSERT_NE(reference, nullptr);
    int accepted = 0;
    int rejected = 0;
    for (EngineOptions on : {lookup(0), lookup(3), lookup(15), drafted_by(GetParam(), 4)}) {
      on.precision = precision;
      const auto engine = open(golden(GetParam()), pool, on);
      ASSERT_NE(engine, nullptr);
      for (const SamplingOptions& sampling : ways_to_sample()) {
        SCOPED_TRACE(std::string(GetParam()) + ", drafts of " + std::to_string(on.draft_tokens) + ", seed " +
                     std::to_string(sampling.seed));
        const auto request = request_of(repeating(20, 5), 40, sampling);
        const Told found = run(*engine, request);
        expect_same(found, run(*reference, request));
        EXPECT_EQ(found.generation.ids.size(), 40U);
        accepted += found.generation.accepted_tokens;
        rejected += found.generation.drafted_tokens - found.generation.accepted_tokens;
      }
    }
    EXPECT_GT(accepted, 30) << GetParam();  // what drafts itself is right where it is greedy
    EXPECT_GT(rejected, 30) << GetParam();
  }
}

INSTANTIATE_TEST_SUITE_P(Fixtures, DraftedModel, testing::ValuesIn(kGoldenModels), name_of_golden);

TEST(Drafting, IsTheSameForAnyThreads) {
  const auto request = request_of(repeating(30, 4), 16, {.temperature = 0.4F, .top_k = 6, .seed = 5});
  std::optional<Told> wanted;
  for (const int threads : {1, 2, 7}) {
    ThreadPool pool(threads);
    for (const EngineOptions& options : {plain(), lookup(6)}) {
      const auto engine = open(golden("phi3-mini-like"), pool, options);
      ASSERT_NE(engine, nullptr);
      const Told found = run(*engine, request);
      if (wanted) {
        expect_same(found, *wanted);
      } else {
        wanted = found;
      }
    }
  }
}

TEST(Drafting, IsTheSameWithSmallerCaches) {
  ThreadPool pool(1);
  for (const auto kv : {model::KvType::kQ8, model::KvType::kQ4}) {
    EngineOptions off = plain();
    EngineOptions on = drafted_by("phi3-mini-like", 6);
    off.kv_type = on.kv_type = kv;
    const auto reference = open(golden("phi3-mini-like"), pool, off);
    const auto engine = open(golden("phi3-mini-like"), pool, on);
    ASSERT_TRUE(reference && engine);
    for (const SamplingOptions& sampling : ways_to_sample()) {
      const auto request = request_of(repeating(30, 4), 40, sampling);
      const Told found = run(*engine, request);
      expect_same(found, run(*reference, request));
      EXPECT_GT(found.generation.drafted_tokens, 0);
    }
  }
}

// The rotary factors change when the sequence has 33 tokens: no pass may reach across.
TEST(Drafting, StopsShortOfTheOtherRotaryFactorsAndGoesOnBehind) {
  ThreadPool pool(1);
  const auto reference = open(golden("phi3-128k-like"), pool, plain());
  const auto engine = open(golden("phi3-128k-like"), pool, drafted_by("phi3-128k-like", 6));
  ASSERT_TRUE(reference && engine);
  for (int prompt = 20; prompt <= 33; ++prompt) {
    const auto request = request_of(repeating(static_cast<size_t>(prompt), 5), 30);
    const Told found = run(*engine, request);
    expect_same(found, run(*reference, request));
    // Each token but the prompt's and the crossing's costs at most a seventh of a pass, save at the two ends.
    EXPECT_GE(found.generation.accepted_tokens, 21) << prompt;
    EXPECT_EQ(found.generation.accepted_tokens, found.generation.drafted_tokens) << prompt;
  }
}

// 2047 tokens are seen: pages that lie farther behind are given back while drafts are taken back.
TEST(Drafting, TakesBackRowsBesideAWindow) {
  ThreadPool pool(1);
  const auto reference = open(golden("phi3-medium-like"), pool, plain());
  const auto engine = open(golden("phi3-medium-like"), pool, lookup(15));
  ASSERT_TRUE(reference && engine);
  const auto request = request_of(repeating(2280, 9), 60, {.temperature = 0.5F, .seed = 4});
  const Told found = run(*engine, request);
  expect_same(found, run(*reference, request));
  EXPECT_GT(found.generation.drafted_tokens, found.generation.accepted_tokens);
  EXPECT_GT(found.generation.drafted_tokens, 60);
}

TEST(Drafting, MaxTokensInsideADraft) {
  ThreadPool pool(1);
  const auto reference = open(golden("phi3-mini-like"), pool, plain());
  const auto engine = open(golden("phi3-mini-like"), pool, drafted_by("phi3-mini-like", 6));
  ASSERT_TRUE(reference && engine);
  for (int n = 0; n <= 20; ++n) {
    const auto request = request_of({1, 2, 3}, n);
    const Told found = run(*engine, request);
    expect_same(found, run(*reference, request));
    EXPECT_EQ(found.generation.ids.size(), static_cast<size_t>(n));
    EXPECT_EQ(found.generation.accepted_tokens, found.generation.drafted_tokens);
  }
  // Up to the last token that the context of 128 holds.
  const auto request = request_of({1, 2, 3}, 125);
  expect_same(run(*engine, request), run(*reference, request));
}

TEST(Drafting, StopTextsInsideADraft) {
  ThreadPool pool(1);
  const auto reference = open(golden("phi3-mini-like"), pool, plain());
  const auto engine = open(golden("phi3-mini-like"), pool, drafted_by("phi3-mini-like", 7));
  ASSERT_TRUE(reference && engine);
  const std::string text = run(*reference, request_of({1, 2, 3}, 40)).generation.text;
  ASSERT_GT(text.size(), 20U);
  int stopped_in_drafts = 0;
  for (size_t at = 0; at + 3 <= text.size(); ++at) {
    auto request = request_of({1, 2, 3}, 40);
    request.stop = {text.substr(at, 3)};
    const Told found = run(*engine, request);
    expect_same(found, run(*reference, request));
    // Not where the text is cut inside the sign for malformed bytes.
    const bool stopped = found.generation.stop == StopReason::kStopText;
    if (stopped && found.generation.accepted_tokens < found.generation.drafted_tokens) ++stopped_in_drafts;
  }
  EXPECT_GT(stopped_in_drafts, 0);
}

TEST(Drafting, EndTokensInsideADraft) {
  ThreadPool pool(1);
  const auto reference = open(golden("phi3-mini-like"), pool, plain());
  const auto engine = open(golden("phi3-mini-like"), pool, drafted_by("phi3-mini-like", 7));
  ASSERT_TRUE(reference && engine);
  int ended_in_drafts = 0;
  for (int32_t first = 3; first < reference->spec().vocab_size; ++first) {
    auto request = request_of({first}, 24);
    request.ignore_end = false;
    const Told found = run(*engine, request);
    expect_same(found, run(*reference, request));
    if (found.generation.stop == StopReason::kEnd && found.generation.accepted_tokens > 0) ++ended_in_drafts;
  }
  EXPECT_GT(ended_in_drafts, 0);
}

TEST(Drafting, ACancelledAnswerEndsAtTheSameToken) {
  ThreadPool pool(1);
  const auto reference = open(golden("phi3-mini-like"), pool, plain());
  const auto engine = open(golden("phi3-mini-like"), pool, drafted_by("phi3-mini-like", 7));
  ASSERT_TRUE(reference && engine);
  for (int pieces = 1; pieces < 12; ++pieces) {
    const auto cancelled = [&](Engine& model) {
      std::stop_source stop;
      auto request = request_of({1, 2, 3}, 40);
      request.cancel = stop.get_token();
      Told told;
      int left = pieces;
      told.generation = *model.generate(request, [&](std::string_view piece) {
        told.streamed += piece;
        if (--left == 0) stop.request_stop();
      });
      return told;
    };
    const Told found = cancelled(*engine);
    expect_same(found, cancelled(*reference));
    EXPECT_EQ(found.generation.stop, StopReason::kCancelled);
  }
}

TEST(Drafting, LeavesACacheThatTheNextAnswerCanUse) {
  ThreadPool pool(1);
  const auto reference = open(golden("llama-like"), pool, plain());
  const auto engine = open(golden("llama-like"), pool, lookup(9));
  ASSERT_TRUE(reference && engine);
  Ids sequence = repeating(20, 5);
  for (int turn = 0; turn < 4; ++turn) {
    const auto request = request_of(sequence, 10, {.temperature = 0.7F, .seed = 7});
    const Told found = run(*engine, request);
    expect_same(found, run(*reference, request));
    EXPECT_GE(found.generation.reused_tokens, turn == 0 ? 0 : static_cast<int>(sequence.size()) - 4);
    sequence.insert(sequence.end(), found.generation.ids.begin(), found.generation.ids.end());
    sequence.insert(sequence.end(), {5, 12, 19});
  }
}

TEST(Drafting, AModelDraftsForAnotherOneAlsoWithAShorterContext) {
  ThreadPool pool(1);
  const auto reference = open(golden("phi3-medium-like"), pool, plain());
  const auto engine = open(golden("phi3-medium-like"), pool, drafted_by("phi3-128k-like", 3));
  ASSERT_TRUE(reference && engine);
  for (const SamplingOptions& sampling : ways_to_sample()) {
    const auto request = request_of(repeating(100, 6), 60, sampling);  // the drafter holds 128
    const Told found = run(*engine, request);
    expect_same(found, run(*reference, request));
    EXPECT_GT(found.generation.drafted_tokens, 0);
    EXPECT_LE(found.generation.drafted_tokens, 28 * 3);
  }
}

TEST(Drafting, ADraftModelOfAnotherVocabularyIsRefused) {
  ThreadPool pool(1);
  const auto engine = Engine::open(golden("phi3-mini-like"), drafted_by("phi3-partial", 0), pool);
  ASSERT_FALSE(engine);
  EXPECT_EQ(engine.error().code, Code::kInvalid);
  EXPECT_NE(engine.error().message.find("it has 131 tokens, the model 384"), std::string::npos)
      << engine.error().message;
  EXPECT_EQ(Engine::open(golden("phi3-mini-like"), drafted_by("no-such-model", 0), pool).error().code, Code::kNotFound);
}

class SmolLm2Drafting : public DefaultModels {};

TEST_F(SmolLm2Drafting, QuotesInFewerSteps) {
  ThreadPool pool(usable_cores());
  const auto reference = open(smollm2(), pool, plain());
  const auto engine = open(smollm2(), pool, lookup(0));
  ASSERT_TRUE(reference && engine);
  GenerateRequest request;
  request.messages = {
      {"user",
       "Repeat this text word for word: The tenant may end the lease at the end of any month with three "
       "months' notice in writing. The landlord answers within two weeks."}};
  request.max_tokens = 40;
  request.top_logprobs = 0;
  for (const float temperature : {0.0F, 0.7F}) {
    request.sampling = {.temperature = temperature, .seed = 3};
    const Told found = run(*engine, request);
    expect_same(found, run(*reference, request));
    EXPECT_GT(found.generation.accepted_tokens, 5) << found.generation.text;
  }
}

}  // namespace
}  // namespace phial::generate
