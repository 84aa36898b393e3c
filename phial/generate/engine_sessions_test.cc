// Answers that are written side by side are those that each prompt gets alone, to the bit, whoever joins and leaves.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <stop_token>
#include <string>
#include <vector>

#include "phial/base/default_models_for_test.h"
#include "phial/base/random.h"
#include "phial/generate/engine.h"
#include "phial/generate/golden_models_for_test.h"

namespace phial::generate {
namespace {

using Ids = std::vector<int32_t>;

Ids some_ids(uint64_t seed, size_t length) {
  Random random(seed);
  Ids ids;
  for (size_t i = 0; i < length; ++i) ids.push_back(static_cast<int32_t>(5 + random.next() % 50));
  return ids;
}

struct Ended {
  std::map<SessionId, Generation> answers;
  std::map<SessionId, Error> failures;
};

void step(Engine& engine, Ended& ended) {
  for (EndedSession& one : engine.step()) {
    if (one.generation) {
      ended.answers.emplace(one.session, *std::move(one.generation));
    } else {
      ended.failures.emplace(one.session, one.generation.error());
    }
  }
}

void run_out(Engine& engine, Ended& ended) {
  while (!engine.idle()) step(engine, ended);
}

// Prompts of many lengths, some with a common beginning, that join a few at a time; their answers end at many times.
class SharedEngine : public testing::TestWithParam<const char*> {};

TEST_P(SharedEngine, WritesWhatEachPromptGetsAlone) {
  for (const int threads : {1, 3}) {
    ThreadPool pool(threads);
    for (const auto precision : {model::Precision::kExact, model::Precision::kFast}) {
      EngineOptions options = {.precision = precision, .sessions = 3};
      const auto together = open(golden(GetParam()), pool, options);
      ASSERT_NE(together, nullptr);
      const Ids beginning = some_ids(1, 20);
      std::vector<GenerateRequest> requests;
      for (const int i : {0, 1, 2, 3, 4, 5, 6, 7}) {
        Ids ids = i % 2 == 0 ? beginning : Ids();
        for (const int32_t id : some_ids(static_cast<uint64_t>(10 + i), static_cast<size_t>(1 + i * 3)))
          ids.push_back(id);
        SamplingOptions sampling;
        if (i > 2)
          sampling = {.temperature = 0.8F, .top_k = 20, .repeat_penalty = 1.1F, .seed = static_cast<uint64_t>(i)};
        requests.push_back(request_of(ids, 3 + i * 5 % 17, sampling));
      }
      std::vector<SessionId> sessions;
      Ended ended;
      for (size_t i = 0; i < requests.size(); ++i) {
        const auto session = together->join(requests[i], nullptr);
        ASSERT_TRUE(session) << session.error().text();
        sessions.push_back(*session);
        if (i % 3 == 1) step(*together, ended);
      }
      run_out(*together, ended);
      EXPECT_TRUE(ended.failures.empty());
      ASSERT_EQ(ended.answers.size(), requests.size());
      options.sessions = 1;
      options.drafting = Drafting::kOff;
      for (size_t i = 0; i < requests.size(); ++i) {
        const auto alone = open(golden(GetParam()), pool, options);
        SCOPED_TRACE(std::string(GetParam()) + " prompt " + std::to_string(i));
        const auto wanted = alone->generate(requests[i], nullptr);
        ASSERT_TRUE(wanted);
        expect_same(ended.answers.at(sessions[i]), *wanted);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Fixtures, SharedEngine, testing::ValuesIn(kGoldenModels), name_of_golden);

TEST(Sessions, APromptSharesTheBeginningOfOneThatIsRunning) {
  ThreadPool pool(2);
  const auto engine = open(golden("llama-like"), pool, {.sessions = 2});
  ASSERT_NE(engine, nullptr);
  Ids first = some_ids(1, 100), second = first;
  second.resize(70);
  second.push_back(7);
  const SessionId a = *engine->join(request_of(first, 20), nullptr);
  EXPECT_TRUE(engine->step().empty());  // reads its prompt
  const SessionId b = *engine->join(request_of(second, 20), nullptr);
  Ended ended;
  run_out(*engine, ended);
  EXPECT_EQ(ended.answers.at(a).reused_tokens, 0);
  EXPECT_EQ(ended.answers.at(b).reused_tokens, 70);
}

TEST(Sessions, WhatWasComputedIsKeptForEachOfThem) {
  ThreadPool pool(1);
  const auto engine = open(golden("llama-like"), pool, {.context_tokens = 128, .sessions = 2});
  ASSERT_NE(engine, nullptr);
  const Ids one = some_ids(1, 50), two = some_ids(2, 60), three = some_ids(3, 110);
  Ended ended;
  for (const Ids& ids : {one, two}) ASSERT_TRUE(engine->join(request_of(ids, 4), nullptr));
  run_out(*engine, ended);
  for (const Ids& ids : {one, two}) {
    const auto again = engine->generate(request_of(ids, 4), nullptr);
    ASSERT_TRUE(again);
    EXPECT_EQ(again->reused_tokens, static_cast<int>(ids.size()) - 1);
  }
  // Two contexts of 128, pages of 64: the third, with 114 of its own, leaves room for the last one used.
  ASSERT_TRUE(engine->generate(request_of(three, 4), nullptr));
  EXPECT_EQ(engine->generate(request_of(two, 4), nullptr)->reused_tokens, 59);
  EXPECT_EQ(engine->generate(request_of(one, 4), nullptr)->reused_tokens, 0);
}

TEST(Sessions, AStoppedOneEndsAlone) {
  ThreadPool pool(2);
  const auto engine = open(golden("llama-like"), pool, {.sessions = 2});
  ASSERT_NE(engine, nullptr);
  std::stop_source stop;
  GenerateRequest stopped = request_of(some_ids(1, 10), 50);
  stopped.cancel = stop.get_token();
  const SessionId a = *engine->join(stopped, nullptr);
  const SessionId b = *engine->join(request_of(some_ids(2, 10), 30), nullptr);
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(engine->step().empty());
  stop.request_stop();
  Ended ended;
  run_out(*engine, ended);
  EXPECT_EQ(ended.answers.at(a).stop, StopReason::kCancelled);
  EXPECT_EQ(ended.answers.at(a).ids.size(), 5U);
  EXPECT_EQ(ended.answers.at(b).ids.size(), 30U);
}

TEST(Sessions, OneThatWaitsCanBeStopped) {
  ThreadPool pool(1);
  const auto engine = open(golden("llama-like"), pool, {.sessions = 1});
  ASSERT_NE(engine, nullptr);
  std::stop_source stop;
  GenerateRequest waiting = request_of(some_ids(1, 10), 50);
  waiting.cancel = stop.get_token();
  const SessionId a = *engine->join(request_of(some_ids(2, 10), 30), nullptr);
  const SessionId b = *engine->join(waiting, nullptr);
  EXPECT_TRUE(engine->step().empty());
  stop.request_stop();
  const auto ended = engine->step();
  ASSERT_EQ(ended.size(), 1U);
  EXPECT_EQ(ended[0].session, b);
  EXPECT_EQ(ended[0].generation->stop, StopReason::kCancelled);
  Ended rest;
  run_out(*engine, rest);
  EXPECT_EQ(rest.answers.at(a).ids.size(), 30U);
}

TEST(Sessions, NoneIsAnError) {
  ThreadPool pool(1);
  EXPECT_FALSE(Engine::open(golden("llama-like"), {.sessions = 0}, pool));
}

TEST(Sessions, ABadOneFailsAloneAndTheOthersGoOn) {
  ThreadPool pool(2);
  const auto engine = open(golden("llama-like"), pool, {.sessions = 3});
  ASSERT_NE(engine, nullptr);
  const GenerateRequest good = request_of(some_ids(2, 10), 30);
  const SessionId a = *engine->join(good, nullptr);
  EXPECT_TRUE(engine->step().empty());
  const SessionId b = *engine->join(request_of({1, 2, 100'000}, 5), nullptr);
  Ended ended;
  run_out(*engine, ended);
  EXPECT_THAT(ended.failures.at(b).text(), testing::HasSubstr("100000"));
  expect_same(ended.answers.at(a), *open(golden("llama-like"), pool, {})->generate(good, nullptr));
  EXPECT_FALSE(engine->join(request_of(some_ids(3, 200), 100'000), nullptr));
}

TEST(Sessions, AnAnswerThatWaitsForAnotherLosesNothing) {
  ThreadPool pool(1);
  const auto engine = open(golden("llama-like"), pool, {.sessions = 2});
  ASSERT_NE(engine, nullptr);
  const SessionId a = *engine->join(request_of(some_ids(1, 10), 3), nullptr);
  ASSERT_TRUE(engine->generate(request_of(some_ids(2, 10), 10), nullptr));
  EXPECT_FALSE(engine->idle());
  const auto ended = engine->step();
  ASSERT_EQ(ended.size(), 1U);
  EXPECT_EQ(ended[0].session, a);
  EXPECT_TRUE(engine->idle());
}

TEST(Sessions, ThePlanCountsAContextForEach) {
  ThreadPool pool(1);
  const auto one = open(golden("llama-like"), pool, {.context_tokens = 100, .sessions = 1});
  const auto four = open(golden("llama-like"), pool, {.context_tokens = 100, .sessions = 4});
  ASSERT_TRUE(one != nullptr && four != nullptr);
  EXPECT_EQ(four->plan().kv_bytes, 4 * one->plan().kv_bytes);
  EXPECT_THAT(four->plan().text(), testing::HasSubstr("4 times 100 tokens"));
}

class SmolLm2Sessions : public DefaultModels {};

TEST_F(SmolLm2Sessions, StreamTheTextsThatEachGetsAlone) {
  ThreadPool pool(usable_cores());
  const auto together = open(smollm2(), pool, {.context_tokens = 256, .sessions = 4});
  const auto alone = open(smollm2(), pool, {.context_tokens = 256});
  ASSERT_TRUE(together != nullptr && alone != nullptr);
  const char* questions[] = {"What is the capital of France?", "Name three colours.",
                             "How does a bicycle stay upright?", "Write a line about the sea.", "What is 2 + 2?"};
  std::vector<GenerateRequest> requests;
  std::vector<std::string> streamed(std::size(questions));
  std::vector<SessionId> sessions;
  for (const char* question : questions) {
    GenerateRequest& request = requests.emplace_back();
    request.messages = {{"user", question}};
    request.max_tokens = 24;
    std::string& own = streamed[sessions.size()];
    sessions.push_back(*together->join(request, [&own](std::string_view piece) { own += piece; }));
  }
  Ended ended;
  run_out(*together, ended);
  for (size_t i = 0; i < requests.size(); ++i) {
    const std::string wanted = alone->generate(requests[i], nullptr)->text;
    EXPECT_EQ(ended.answers.at(sessions[i]).text, wanted);
    EXPECT_EQ(streamed[i], wanted);
  }
}

}  // namespace
}  // namespace phial::generate
