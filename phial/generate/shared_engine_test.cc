#include "phial/generate/shared_engine.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <thread>
#include <vector>

#include "phial/generate/golden_models_for_test.h"

namespace phial::generate {
namespace {

GenerateRequest request_for(int which) {
  std::vector<int32_t> ids;
  for (int i = 0; i < 3 + which % 5; ++i) ids.push_back(5 + (which * 7 + i * 3) % 50);
  return request_of(std::move(ids), 6 + which % 4);
}

class SharedByThreads : public testing::TestWithParam<const char*> {};

TEST_P(SharedByThreads, GivesEachTheBitsThatItWouldGetAlone) {
  ThreadPool pool(2);
  std::vector<Generation> wanted;
  const auto alone = open(golden(GetParam()), pool, {});
  ASSERT_NE(alone, nullptr);
  for (int i = 0; i < 12; ++i) wanted.push_back(*alone->generate(request_for(i), nullptr));
  for (const int sessions : {1, 4}) {
    SharedEngine shared(open(golden(GetParam()), pool, {.sessions = sessions}));
    std::vector<std::optional<Generation>> found(wanted.size());
    std::vector<std::thread> threads;
    for (size_t i = 0; i < wanted.size(); ++i) {
      threads.emplace_back([&, i] { found[i] = *shared.generate(request_for(static_cast<int>(i)), nullptr); });
    }
    for (std::thread& thread : threads) thread.join();
    for (size_t i = 0; i < wanted.size(); ++i) expect_same(*found[i], wanted[i]);
  }
}

INSTANTIATE_TEST_SUITE_P(Golden, SharedByThreads, testing::ValuesIn(kGoldenModels), name_of_golden);

TEST(SharedEngine, HandsTextToTheThreadThatAskedForIt) {
  ThreadPool pool(1);
  SharedEngine shared(open(golden("phi3-mini-like"), pool, {.sessions = 3}));
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 6; ++i) {
    threads.emplace_back([&, i] {
      const auto own = std::this_thread::get_id();
      std::string text;
      const auto result = shared.generate(request_for(i), [&](std::string_view piece) {
        if (std::this_thread::get_id() != own) ++wrong;
        text += piece;
      });
      if (!result || result->text != text) ++wrong;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

TEST(SharedEngine, WhoComesLaterNeedNotWaitForTheEndOfAnother) {
  ThreadPool pool(1);
  SharedEngine shared(open(golden("phi3-medium-like"), pool, {.sessions = 2}));
  std::stop_source enough;
  std::atomic<bool> has_ended = false;
  // Nobody takes its text: its thread is never out of the engine for long.
  std::thread other([&] {
    GenerateRequest request = request_of({5, 6, 7}, 4000);
    request.cancel = enough.get_token();
    EXPECT_TRUE(shared.generate(request, nullptr));
    has_ended = true;
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(20));  // it has begun by then, or is itself the later one
  EXPECT_TRUE(shared.generate(request_for(1), nullptr));
  EXPECT_FALSE(has_ended);
  enough.request_stop();
  other.join();
}

TEST(SharedEngine, WhatAReaderThrowsEndsItsAnswerAlone) {
  ThreadPool pool(1);
  SharedEngine shared(open(golden("phi3-mini-like"), pool, {.sessions = 2}));
  const auto wanted = shared.generate(request_for(1), nullptr);
  ASSERT_TRUE(wanted);
  std::thread other([&] { expect_same(*shared.generate(request_for(1), nullptr), *wanted); });
  EXPECT_THROW((void)shared.generate(request_for(2), [](std::string_view) { throw std::runtime_error("enough"); }),
               std::runtime_error);
  other.join();
  expect_same(*shared.generate(request_for(1), nullptr), *wanted);
}

TEST(SharedEngine, TellsTheErrorsOfTheEngine) {
  ThreadPool pool(1);
  SharedEngine shared(open(golden("phi3-mini-like"), pool, {}));
  EXPECT_EQ(shared.generate(request_of({5}, 1 << 20), nullptr).error().code, Code::kOutOfRange);
  EXPECT_EQ(shared.generate(request_of({1 << 20}, 2), nullptr).error().code, Code::kInvalid);
  EXPECT_TRUE(shared.score("The sea", " was calm"));
}

}  // namespace
}  // namespace phial::generate
