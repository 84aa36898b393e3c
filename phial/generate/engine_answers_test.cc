// What an engine tells about its answers: scores, logprobs, stop texts, counts, the memory plan.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "phial/generate/engine.h"
#include "phial/generate/golden_models_for_test.h"
#include "phial/generate/perplexity.h"
#include "phial/generate/sampler.h"

namespace phial::generate {
namespace {

std::unique_ptr<Engine> open_exact(const std::filesystem::path& path, ThreadPool& pool, EngineOptions options = {}) {
  options.precision = model::Precision::kExact;
  auto engine = Engine::open(path, options, pool);
  EXPECT_TRUE(engine) << engine.error().text();
  return engine ? *std::move(engine) : nullptr;
}

GenerateRequest asking(const std::string& prompt, int n) {
  GenerateRequest request;
  request.prompt = prompt;
  request.max_tokens = n;
  request.ignore_end = true;
  return request;
}

TEST(Engine, AScoreIsTheSumOfTheContinuationsLogprobs) {
  ThreadPool pool(1);
  const auto engine = open_exact(golden("phi3-mini-like"), pool);
  ASSERT_NE(engine, nullptr);
  const tokenizer::Tokenizer& vocabulary = **engine->tokenizer();
  const std::string prompt = "the quick", continuation = " brown fox";
  const tokenizer::EncodeOptions options{.parse_special = true, .add_bos = vocabulary.adds_bos()};
  const size_t first = vocabulary.encode(prompt, options).size();
  const std::vector<int32_t> ids = vocabulary.encode(prompt + continuation, options);
  const auto rows = engine->logits(ids, 0, {});
  ASSERT_TRUE(rows);
  const auto width = static_cast<size_t>(engine->spec().vocab_size);
  double sum = 0;
  for (size_t i = first; i < ids.size(); ++i) {
    sum += logprob_of(std::span(*rows).subspan((i - 1) * width, width), ids[i]);
  }
  const auto score = engine->score(prompt, continuation);
  ASSERT_TRUE(score) << score.error().text();
  EXPECT_NEAR(score->logprob, sum, 1e-4);
  EXPECT_EQ(score->tokens, static_cast<int>(ids.size() - first));
  EXPECT_FALSE(engine->score(prompt, ""));
}

TEST(Engine, LogprobsComeWithEachToken) {
  ThreadPool pool(1);
  const auto engine = open_exact(golden("phi3-mini-like"), pool);
  ASSERT_NE(engine, nullptr);
  GenerateRequest request = asking("the", 6);
  request.top_logprobs = 3;
  const auto result = engine->generate(request, nullptr);
  ASSERT_TRUE(result) << result.error().text();
  ASSERT_EQ(result->logprobs.size(), 6U);
  for (size_t i = 0; i < 6; ++i) {
    EXPECT_EQ(result->logprobs[i].id, result->ids[i]);
    ASSERT_EQ(result->logprobs[i].best.size(), 3U);
    EXPECT_EQ(result->logprobs[i].best[0].first, result->ids[i]);  // greedy
    EXPECT_FLOAT_EQ(result->logprobs[i].best[0].second, result->logprobs[i].logprob);
    EXPECT_GE(result->logprobs[i].best[1].second, result->logprobs[i].best[2].second);
  }
}

TEST(Engine, AStopTextEndsTheAnswerAndIsNotPartOfIt) {
  ThreadPool pool(1);
  const auto engine = open_exact(golden("phi3-mini-like"), pool);
  ASSERT_NE(engine, nullptr);
  const auto whole = engine->generate(asking("the", 24), nullptr);
  ASSERT_TRUE(whole);
  ASSERT_GE(whole->text.size(), 12U);
  const std::string stop = whole->text.substr(whole->text.size() / 2, 3);
  GenerateRequest request = asking("the", 24);
  request.stop = {stop};
  std::string streamed;
  const auto result = engine->generate(request, [&](std::string_view piece) { streamed += piece; });
  ASSERT_TRUE(result);
  EXPECT_EQ(result->stop, StopReason::kStopText);
  EXPECT_EQ(result->text, whole->text.substr(0, whole->text.find(stop)));
  EXPECT_EQ(streamed, result->text);
}

TEST(Engine, TheSameSeedGivesTheSameAnswerWhateverTheThreadsAndTheCache) {
  const auto answer = [](int threads, bool warm) {
    ThreadPool pool(threads);
    const auto engine = open_exact(golden("phi3-mini-like"), pool);
    GenerateRequest request = asking("the quick brown", 20);
    if (warm) {
      EXPECT_TRUE(engine->generate(asking("the quick brown", 3), nullptr));
    }
    request.sampling = {.temperature = 0.9F, .top_k = 50, .top_p = 0.95F, .seed = 11};
    auto result = engine->generate(request, nullptr);
    EXPECT_TRUE(result);
    return result ? result->ids : std::vector<int32_t>();
  };
  const auto first = answer(1, false);
  EXPECT_EQ(answer(2, false), first);
  EXPECT_EQ(answer(2, true), first);
}

TEST(Engine, NoTokensAskedOnlyReadsThePrompt) {
  ThreadPool pool(1);
  const auto engine = open_exact(golden("phi3-mini-like"), pool);
  ASSERT_NE(engine, nullptr);
  const auto result = engine->generate(asking("the quick brown", 0), nullptr);
  ASSERT_TRUE(result) << result.error().text();
  EXPECT_TRUE(result->ids.empty());
  EXPECT_EQ(result->stop, StopReason::kMaxTokens);
}

TEST(Engine, TheMemoryPlanIsTold) {
  ThreadPool pool(1);
  std::string told;
  EngineOptions options;
  options.log = [&](Severity severity, std::string_view text) {
    if (severity == Severity::kDetail) told += text;
  };
  ASSERT_NE(open_exact(golden("phi3-mini-like"), pool, options), nullptr);
  EXPECT_NE(told.find("memory plan: "), std::string::npos) << told;
  EXPECT_NE(told.find("128 tokens"), std::string::npos) << told;
}

TEST(Engine, ASmallerCacheIsUsedAndReused) {
  ThreadPool pool(2);
  for (const model::KvType type : {model::KvType::kQ8, model::KvType::kQ4}) {
    EngineOptions options;
    options.kv_type = type;
    const auto cold = Engine::open(golden("phi3-mini-like"), options, pool);
    const auto warm = Engine::open(golden("phi3-mini-like"), options, pool);
    ASSERT_TRUE(cold && warm);
    EXPECT_EQ((*cold)->plan().kv_type, type);
    ASSERT_TRUE((*warm)->generate(asking("the quick brown", 3), nullptr));
    const auto wanted = (*cold)->generate(asking("the quick brown", 20), nullptr);
    const auto found = (*warm)->generate(asking("the quick brown", 20), nullptr);
    ASSERT_TRUE(wanted && found);
    EXPECT_EQ(found->ids, wanted->ids);
    EXPECT_GT(found->reused_tokens, 0);
  }
}

TEST(Perplexity, IsThatOfTheWindowsByThemselves) {
  ThreadPool pool(1);
  const auto engine = open_exact(golden("phi3-mini-like"), pool);
  ASSERT_NE(engine, nullptr);
  std::vector<int32_t> ids;
  for (int i = 0; i < 50; ++i) ids.push_back(3 + (i * 37) % 300);
  const auto width = static_cast<size_t>(engine->spec().vocab_size);
  double sum = 0;
  for (size_t start = 0; start + 1 < ids.size(); start += 20) {
    const size_t n = std::min<size_t>(20, ids.size() - 1 - start);
    const auto rows = engine->logits(std::span(ids).subspan(start, n), 0, {});
    ASSERT_TRUE(rows);
    for (size_t i = 0; i < n; ++i) sum -= logprob_of(std::span(*rows).subspan(i * width, width), ids[start + i + 1]);
  }
  size_t told = 0;
  const auto result = perplexity(*engine, ids, 20, {}, [&](size_t done, size_t total) {
    EXPECT_EQ(total, 3U);
    told = done;
  });
  ASSERT_TRUE(result) << result.error().text();
  EXPECT_EQ(result->scored, 49);
  EXPECT_EQ(told, 3U);
  EXPECT_NEAR(result->value(), std::exp(sum / 49), 1e-3 * result->value());
  EXPECT_FALSE(perplexity(*engine, std::span(ids).first(1), 20, {}, nullptr));
  EXPECT_FALSE(perplexity(*engine, ids, 129, {}, nullptr));
  std::stop_source stopped;
  stopped.request_stop();
  EXPECT_EQ(perplexity(*engine, ids, 20, stopped.get_token(), nullptr).error().code, Code::kCancelled);
}

}  // namespace
}  // namespace phial::generate
