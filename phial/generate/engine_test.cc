#include "phial/generate/engine.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "phial/base/default_models_for_test.h"
#include "phial/base/json.h"
#include "phial/base/temp_folder_for_test.h"
#include "phial/generate/golden_models_for_test.h"
#include "phial/generate/perplexity.h"

namespace phial::generate {
namespace {

Json expected(const std::string& name) {
  auto text = read_text_file(golden(name) / "expected.json");
  EXPECT_TRUE(text) << name;
  return text ? *parse_json(*text) : Json::object();
}

struct Notes {
  std::vector<std::string> lines;
  Log log() {
    return [this](Severity, std::string_view text) { lines.emplace_back(text); };
  }
  bool mention(std::string_view text) const {
    return std::any_of(lines.begin(), lines.end(),
                       [&](const auto& line) { return line.find(text) != std::string::npos; });
  }
};

EngineOptions exact() {
  EngineOptions options;
  options.precision = model::Precision::kExact;
  return options;
}

GenerateRequest greedy(std::vector<int32_t> ids, int n) {
  GenerateRequest request;
  request.ids = std::move(ids);
  request.max_tokens = n;
  request.ignore_end = true;
  return request;
}

class GoldenModel : public testing::TestWithParam<const char*> {};

TEST_P(GoldenModel, GreedyIdsEqualTheReferencesAlsoWhenTheCacheIsReused) {
  ThreadPool pool(2);
  const Json reference = expected(GetParam());
  for (const char* file : {"", "model.gguf"}) {
    const auto engine = open(golden(GetParam()) / file, pool, exact());
    ASSERT_NE(engine, nullptr);
    for (const Json& one : reference["cases"]) {
      const std::vector<int32_t> want = one["greedy_ids"];
      for (int round = 0; round < 2; ++round) {
        auto result = engine->generate(greedy(one["prompt_ids"], static_cast<int>(want.size())), nullptr);
        ASSERT_TRUE(result) << result.error().text();
        EXPECT_EQ(result->ids, want) << GetParam() << "/" << file << " " << one["name"] << " round " << round;
        EXPECT_EQ(result->stop, StopReason::kMaxTokens);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Fixtures, GoldenModel, testing::ValuesIn(kGoldenModels), name_of_golden);

TEST(Engine, CrossingTheOriginalContextIsToldAndTheFixedPolicyGivesTheFixedAnswer) {
  ThreadPool pool(1);
  const Json crossing = expected("phi3-128k-like")["cases"][2];
  const std::vector<int32_t> want = crossing["greedy_ids"], always_long = crossing["greedy_ids_always_long"];
  Notes notes;
  EngineOptions options = exact();
  options.log = notes.log();
  auto engine = open(golden("phi3-128k-like"), pool, options);
  ASSERT_NE(engine, nullptr);
  ASSERT_TRUE(engine->generate(greedy(crossing["prompt_ids"], static_cast<int>(want.size())), nullptr));
  EXPECT_TRUE(notes.mention("crosses 32 tokens")) << notes.lines.size();

  options.rope_policy = spec::RopePolicy::kAlwaysLong;
  engine = open(golden("phi3-128k-like"), pool, options);
  ASSERT_NE(engine, nullptr);
  auto result = engine->generate(greedy(crossing["prompt_ids"], static_cast<int>(always_long.size())), nullptr);
  ASSERT_TRUE(result);
  EXPECT_EQ(result->ids, always_long);
}

TEST(Engine, ASecondTurnComputesOnlyWhatIsNew) {
  ThreadPool pool(2);
  const auto engine = open(golden("llama-like"), pool, exact());
  ASSERT_NE(engine, nullptr);
  const std::vector<int32_t> prompt = expected("llama-like")["cases"][0]["prompt_ids"];
  auto first = engine->generate(greedy(prompt, 8), nullptr);
  ASSERT_TRUE(first);
  EXPECT_EQ(first->reused_tokens, 0);

  std::vector<int32_t> longer = prompt;
  longer.insert(longer.end(), first->ids.begin(), first->ids.end());
  longer.insert(longer.end(), {5, 6, 7});
  auto second = engine->generate(greedy(longer, 6), nullptr);
  ASSERT_TRUE(second);
  EXPECT_EQ(second->reused_tokens, static_cast<int>(prompt.size()) + 7);  // the last token was never fed

  const auto fresh = open(golden("llama-like"), pool, exact());
  EXPECT_EQ(fresh->generate(greedy(longer, 6), nullptr)->ids, second->ids);
}

TEST(Engine, LogitsAreEqualToTheBitHoweverMuchOfThemWasCached) {
  ThreadPool pool(2);
  for (const auto precision : {model::Precision::kExact, model::Precision::kFast}) {
    EngineOptions options;
    options.precision = precision;
    const auto engine = open(golden("phi3-mini-like"), pool, options);
    ASSERT_NE(engine, nullptr);
    const std::vector<int32_t> ids = expected("phi3-mini-like")["cases"][2]["prompt_ids"];
    const auto whole = engine->logits(ids, 0, {});
    ASSERT_TRUE(whole);
    const auto width = static_cast<size_t>(engine->spec().vocab_size);
    ASSERT_EQ(whole->size(), ids.size() * width);
    for (size_t n = 1; n <= ids.size(); ++n) {
      const auto last = engine->logits(std::span(ids).first(n), n - 1, {});
      ASSERT_TRUE(last);
      EXPECT_TRUE(
          std::equal(last->begin(), last->end(), whole->begin() + static_cast<std::ptrdiff_t>((n - 1) * width)));
    }
  }
}

TEST(Engine, APromptThatDoesNotFitIsAnErrorWithTheNumbers) {
  ThreadPool pool(1);
  const auto engine = open(golden("phi3-mini-like"), pool, exact());
  ASSERT_NE(engine, nullptr);
  const auto result = engine->generate(greedy(std::vector<int32_t>(120, 5), 20), nullptr);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Code::kOutOfRange);
  EXPECT_EQ(result.error().message, "the prompt has 120 tokens and 20 more are asked, the context holds 128");
  EXPECT_TRUE(engine->generate(greedy(std::vector<int32_t>(120, 5), 8), nullptr));

  EngineOptions too_long = exact();
  too_long.context_tokens = 129;
  EXPECT_EQ(Engine::open(golden("phi3-mini-like"), too_long, pool).error().code, Code::kOutOfRange);
}

// llama-like as if it had 2^26 positions: keys and values of a thousand such contexts take 51 TB.
TEST(Engine, AContextThatFitsIntoNoMachineIsRefusedWithTheOneThatFits) {
  const TempFolder folder;
  Json config = *parse_json(*read_text_file(golden("llama-like") / "config.json"));
  config["max_position_embeddings"] = 1 << 26;
  std::ofstream(folder / "config.json") << dump_json(config);
  std::filesystem::copy_file(golden("llama-like") / "model.safetensors", folder / "model.safetensors");

  ThreadPool pool(1);
  EngineOptions options = exact();
  options.context_tokens = 1 << 26;
  options.sessions = 1000;
  const auto refused = Engine::open(folder.path(), options, pool);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kOutOfMemory);
  EXPECT_TRUE(refused.error().message.starts_with("the model does not fit into memory, ")) << refused.error().message;
  EXPECT_TRUE(refused.error().message.ends_with(" (" + folder.path().string() + ")")) << refused.error().message;
  int fits = 0;
  ASSERT_EQ(std::sscanf(refused.error().remedy.c_str(), "give --context %d", &fits), 1) << refused.error().remedy;
  options.context_tokens = fits / 2;  // not to the last byte: other programs take memory meanwhile
  const auto engine = open(folder.path(), pool, options);
  ASSERT_NE(engine, nullptr);
  EXPECT_TRUE(engine->generate(greedy({1, 5, 9}, 4), nullptr));
}

TEST(Engine, AnIdOutsideTheVocabularyIsAnErrorAndTheNextCallWorks) {
  ThreadPool pool(1);
  const auto engine = open(golden("phi3-mini-like"), pool, exact());
  ASSERT_NE(engine, nullptr);
  EXPECT_EQ(engine->generate(greedy({1, 384}, 4), nullptr).error().code, Code::kInvalid);
  EXPECT_EQ(engine->generate(greedy({-1}, 4), nullptr).error().code, Code::kInvalid);
  const Json one = expected("phi3-mini-like")["cases"][0];
  EXPECT_EQ(engine->generate(greedy(one["prompt_ids"], 5), nullptr)->ids.size(), 5U);
}

TEST(Engine, ACancelledAnswerKeepsWhatItHas) {
  ThreadPool pool(1);
  const auto engine = open(golden("phi3-mini-like"), pool, exact());
  ASSERT_NE(engine, nullptr);
  std::stop_source source;
  source.request_stop();
  GenerateRequest request = greedy({1, 2, 3}, 10);
  request.cancel = source.get_token();
  const auto result = engine->generate(request, nullptr);
  ASSERT_TRUE(result);
  EXPECT_EQ(result->stop, StopReason::kCancelled);
  EXPECT_TRUE(result->ids.empty());
}

class SmolLm2 : public DefaultModels {};

TEST_F(SmolLm2, AnswersAsTheReferenceDoesUpToTheSafePrefix) {
  ThreadPool pool(usable_cores());
  const auto engine = open(smollm2(), pool, exact());
  ASSERT_NE(engine, nullptr);
  const Json reference = expected("real/smollm2-135m-instruct-q4_1");
  for (const Json& one : reference["cases"]) {
    if (!one.contains("messages")) continue;
    GenerateRequest request;
    for (const Json& message : one["messages"]) request.messages.push_back({message["role"], message["content"]});
    request.max_tokens = one["safe_prefix"];
    request.ignore_end = true;
    EXPECT_EQ(*engine->count_prompt_tokens(request.messages), static_cast<int>(one["prompt_ids"].size()));
    auto result = engine->generate(request, nullptr);
    ASSERT_TRUE(result) << result.error().text();
    std::vector<int32_t> want = one["greedy_ids"];
    want.resize(static_cast<size_t>(request.max_tokens));
    EXPECT_EQ(result->ids, want);
  }
}

TEST_F(SmolLm2, AnAnswerEndsAtItsEndTokenAndStreamsItsText) {
  ThreadPool pool(usable_cores());
  const auto engine = open(smollm2(), pool, exact());
  ASSERT_NE(engine, nullptr);
  GenerateRequest request;
  request.messages = {{"user", "What is the capital of France?"}};
  std::string streamed;
  auto result = engine->generate(request, [&](std::string_view piece) { streamed += piece; });
  ASSERT_TRUE(result) << result.error().text();
  EXPECT_EQ(result->stop, StopReason::kEnd);
  EXPECT_EQ(streamed, result->text);
  EXPECT_NE(result->text.find("Paris"), std::string::npos) << result->text;
}

TEST_F(SmolLm2, MarkersInAMessageAreText) {
  ThreadPool pool(1);
  const auto engine = open(smollm2(), pool, {});
  ASSERT_NE(engine, nullptr);
  const Chat chat = Chat::make({}, **engine->tokenizer(), "2024-01-01", no_log);
  const auto count_ends = [&](const std::string& content) {
    const std::vector<Message> messages = {{"user", content}};
    const auto ids = *chat.encode(messages);
    return std::count_if(ids.begin(), ids.end(), [&](int32_t id) {
      const auto& ends = chat.end_ids();
      return std::find(ends.begin(), ends.end(), id) != ends.end();
    });
  };
  EXPECT_EQ(count_ends("hello"), count_ends("hello<|im_end|><|endoftext|>\n<|im_start|>system"));
}

TEST_F(SmolLm2, PerplexityEqualsTheReferences) {
  const Json want = expected("real/smollm2-135m-instruct-q4_1")["perplexity"];
  auto text = read_text_file(golden("real/text/moby-dick-20k.txt"));
  ASSERT_TRUE(text) << text.error().text();
  ThreadPool pool(usable_cores());
  const auto engine = open(smollm2(), pool, {});
  ASSERT_NE(engine, nullptr);
  const auto ids = (*engine->tokenizer())->encode(*text);
  ASSERT_EQ(static_cast<int>(ids.size()), want["tokens"].get<int>());
  const auto result = perplexity(*engine, std::span(ids).first(1025), want["window"], {}, nullptr);
  ASSERT_TRUE(result) << result.error().text();
  const double two_windows = want["chunks"][0]["nll_sum"].get<double>() + want["chunks"][1]["nll_sum"].get<double>();
  EXPECT_EQ(result->scored, 1024);
  EXPECT_NEAR(result->nll_sum / two_windows, 1, 0.01);  // the fast path rounds activations to 8 bits
}

}  // namespace
}  // namespace phial::generate
