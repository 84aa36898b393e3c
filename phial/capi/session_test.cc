// Models and sessions: what C callers get is what the engine writes, whoever else calls and whatever was stopped.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <thread>
#include <vector>

#include "phial/base/default_models_for_test.h"
#include "phial/base/json_file.h"
#include "phial/base/mapped_file.h"
#include "phial/base/temp_folder_for_test.h"
#include "phial/capi/testing.h"
#include "phial/generate/engine.h"

namespace phial::capi {
namespace {

using testing::HasSubstr;

const char* const kPrompts[] = {"The sea was", "A letter from the", "One two three four", "x"};

std::string engine_writes(const std::string& model, const std::string& prompt, int n) {
  ThreadPool pool(1);
  const auto engine = generate::Engine::open(model, {}, pool);
  EXPECT_TRUE(engine) << engine.error().text();
  generate::GenerateRequest request;
  request.prompt = prompt;
  request.max_tokens = n;
  request.ignore_end = true;
  return (*engine)->generate(request, nullptr)->text;
}

class EachModel : public testing::TestWithParam<const char*> {};

TEST_P(EachModel, WritesWhatTheEngineDoes) {
  const Model model = open_model(golden(GetParam()));
  const Session session = new_session(model);
  for (const char* prompt : kPrompts) {
    const std::string text = complete(session, prompt, 24);
    EXPECT_EQ(text, engine_writes(golden(GetParam()), prompt, 24));
    const phial_generation generation = generation_of(session);
    EXPECT_EQ(text, std::string(generation.text, generation.text_bytes));
    EXPECT_EQ(generation.id_count, 24U);
    EXPECT_EQ(generation.stop, PHIAL_STOP_LENGTH);
    EXPECT_GT(generation.prompt_tokens, 0);
  }
}

TEST_P(EachModel, WritesTheSameToManyThreadsAtOnce) {
  std::vector<std::string> alone;
  for (const char* prompt : kPrompts) alone.push_back(engine_writes(golden(GetParam()), prompt, 16));
  for (const int sessions : {1, 3}) {
    auto options = defaults<phial_model_options>();
    options.sessions = sessions;
    const Model model = open_model(golden(GetParam()), options);
    std::vector<std::thread> threads;
    std::atomic<int> wrong = 0;
    for (size_t t = 0; t < 8; ++t) {
      threads.emplace_back([&, t] {
        const Session session = new_session(model);
        for (size_t i = 0; i < 3; ++i) {
          const size_t which = (t + i) % alone.size();
          if (complete(session, kPrompts[which], 16) != alone[which]) ++wrong;
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(wrong, 0);
  }
}

INSTANTIATE_TEST_SUITE_P(Golden, EachModel, testing::Values("phi3-mini-like", "llama-like", "phi3-128k-like"),
                         [](const auto& model) {
                           std::string name = model.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

int stop_after_two(void* count, const char* /*text*/, size_t /*bytes*/) {
  return ++*static_cast<int*>(count) >= 2 ? 1 : 0;
}

TEST(Stopping, ByTheCallbackLeavesASessionThatWritesAsAFreshOne) {
  const Model model = open_model(golden("phi3-mini-like"));
  const Session session = new_session(model);
  auto options = defaults<phial_generate_options>();
  options.max_tokens = 60;
  options.ignore_end = 1;
  phial_error error{};
  int pieces = 0;
  EXPECT_EQ(phial_session_complete(session.get(), kPrompts[0], &options, stop_after_two, &pieces, &error),
            PHIAL_CANCELLED);
  EXPECT_EQ(pieces, 2);
  EXPECT_EQ(generation_of(session).stop, PHIAL_STOP_CANCELLED);
  EXPECT_LT(generation_of(session).id_count, 60U);
  EXPECT_EQ(complete(session, kPrompts[0], 60), engine_writes(golden("phi3-mini-like"), kPrompts[0], 60));
}

TEST(Stopping, FromAnotherThreadEndsTheCallWhereverItIs) {
  const Model model = open_model(golden("phi3-128k-like"));
  const std::string wanted = engine_writes(golden("phi3-128k-like"), kPrompts[1], 20);
  for (const int after_us : {0, 50, 500, 5000}) {
    const Session session = new_session(model);
    const Cancel cancel(phial_cancel_new());
    auto options = defaults<phial_generate_options>();
    options.ignore_end = 1;
    options.cancel = cancel.get();
    std::thread stopper([&] {
      std::this_thread::sleep_for(std::chrono::microseconds(after_us));
      phial_cancel_request(cancel.get());
    });
    phial_error error{};
    const phial_code code = phial_session_complete(session.get(), kPrompts[0], &options, nullptr, nullptr, &error);
    stopper.join();
    EXPECT_TRUE(code == PHIAL_CANCELLED || code == PHIAL_OK) << error.message;
    EXPECT_EQ(phial_cancel_requested(cancel.get()), 1);
    EXPECT_EQ(complete(session, kPrompts[1], 20), wanted);
  }
}

TEST(Stopping, OneThatWaitsForItsTurnIsStoppedToo) {
  const Model model = open_model(golden("phi3-mini-like"));
  const Session first = new_session(model), second = new_session(model);
  const Cancel cancel(phial_cancel_new());
  phial_cancel_request(cancel.get());
  auto options = defaults<phial_generate_options>();
  options.cancel = cancel.get();
  phial_error error{};
  std::thread busy([&] { complete(first, kPrompts[0], 60); });
  EXPECT_EQ(phial_session_complete(second.get(), kPrompts[1], &options, nullptr, nullptr, &error), PHIAL_CANCELLED);
  EXPECT_STREQ(generation_of(second).text, "");
  busy.join();
}

TEST(Callbacks, MayUseOtherSessionsOfTheModel) {
  const Model model = open_model(golden("phi3-mini-like"));
  const Session outer = new_session(model), inner = new_session(model);
  struct Both {
    const Session& inner;
    std::string heard;
  } both{inner, ""};
  auto options = defaults<phial_generate_options>();
  options.max_tokens = 4;
  options.ignore_end = 1;
  phial_error error{};
  const auto nested = [](void* data, const char*, size_t) {
    auto* to = static_cast<Both*>(data);
    if (to->heard.empty()) to->heard = complete(to->inner, kPrompts[1], 6);
    return 0;
  };
  EXPECT_EQ(phial_session_complete(outer.get(), kPrompts[0], &options, nested, &both, &error), PHIAL_OK)
      << error.message;
  EXPECT_EQ(both.heard, engine_writes(golden("phi3-mini-like"), kPrompts[1], 6));
}

int throw_something(void*, const char*, size_t) { throw 1; }

TEST(Callbacks, ThatThrowEndTheirCallAlone) {
  const Model model = open_model(golden("phi3-mini-like"));
  const Session session = new_session(model);
  phial_error error{};
  EXPECT_EQ(phial_session_complete(session.get(), kPrompts[0], nullptr, throw_something, nullptr, &error),
            PHIAL_INTERNAL);
  auto generation = defaults<phial_generation>();
  EXPECT_EQ(phial_session_get_generation(session.get(), &generation, &error), PHIAL_NOT_FOUND);
  EXPECT_EQ(complete(session, kPrompts[1], 12), engine_writes(golden("phi3-mini-like"), kPrompts[1], 12));
}

TEST(Models, StayAsLongAsTheirSessions) {
  Model model = open_model(golden("llama-like"));
  const Session session = new_session(model);
  model.reset();
  EXPECT_EQ(complete(session, kPrompts[0], 10), engine_writes(golden("llama-like"), kPrompts[0], 10));
}

TEST(Models, TellWhatTheyAre) {
  auto options = defaults<phial_model_options>();
  options.context_tokens = 40;
  const Model model = open_model(golden("phi3-mini-like"), options);
  auto info = defaults<phial_model_info>();
  phial_error error{};
  ASSERT_EQ(phial_model_get_info(model.get(), &info, &error), PHIAL_OK) << error.message;
  EXPECT_EQ(info.context_tokens, 40);
  EXPECT_GT(info.longest_context_tokens, 40);
  EXPECT_GT(info.vocabulary_size, 300);
  EXPECT_EQ(info.has_tokenizer, 1);
  EXPECT_EQ(info.sees, 0);
  EXPECT_GT(info.weights_bytes, 0U);
  EXPECT_STRNE(info.name, "");
}

TEST(Models, RefuseOptionsThatMakeNoSense) {
  phial_model* model = nullptr;
  phial_error error{};
  const std::string path = golden("phi3-mini-like");
  const auto refused = [&](auto change) {
    auto options = defaults<phial_model_options>();
    change(options);
    const phial_code code = phial_model_open(path.c_str(), &options, &model, &error);
    EXPECT_EQ(model, nullptr);
    return code;
  };
  EXPECT_EQ(refused([](auto& o) { o.threads = -1; }), PHIAL_INVALID);
  EXPECT_EQ(refused([](auto& o) { o.kv = 9; }), PHIAL_INVALID);
  EXPECT_EQ(refused([](auto& o) { o.kv = PHIAL_KV_Q8, o.exact = 1; }), PHIAL_INVALID);
  EXPECT_EQ(refused([](auto& o) { o.draft_model = "/no/such"; }), PHIAL_NOT_FOUND);
  EXPECT_EQ(refused([](auto& o) { o.context_tokens = 1 << 30; }), PHIAL_OUT_OF_RANGE);
  EXPECT_EQ(refused([](auto& o) { o.sessions = 1 << 30; }), PHIAL_OUT_OF_MEMORY);
  EXPECT_THAT(error.message, HasSubstr("memory"));
  EXPECT_EQ(refused([](auto& o) { o.size = 3; }), PHIAL_INVALID);
}

TEST(Models, GoOnWithPromptsThatAnEarlierRunWrote) {
  const TempFolder folder;
  const std::string cache = (folder / "prompts.cache").string();
  auto options = defaults<phial_model_options>();
  options.prompt_cache = cache.c_str();
  const std::string prompt = "A letter from the sea, and what it said of the ships";
  phial_error error{};
  std::string first;
  for (const bool is_later : {false, true}) {
    const Model model = open_model(golden("phi3-mini-like"), options);
    const Session session = new_session(model);
    const std::string text = complete(session, prompt, 12);
    EXPECT_EQ(generation_of(session).reused_tokens > 0, is_later);
    ASSERT_EQ(phial_model_write_prompt_cache(model.get(), &error), PHIAL_OK) << error.message;
    EXPECT_TRUE(!is_later || text == first) << text;
    first = text;
  }
  EXPECT_EQ(first, engine_writes(golden("phi3-mini-like"), prompt, 12));

  const std::string elsewhere = (folder / "no/such/folder/prompts.cache").string();
  options.prompt_cache = elsewhere.c_str();
  const Model model = open_model(golden("phi3-mini-like"), options);
  complete(new_session(model), prompt, 2);
  EXPECT_NE(phial_model_write_prompt_cache(model.get(), &error), PHIAL_OK);
  EXPECT_THAT(error.message, HasSubstr("prompts.cache"));
}

// A program built with the header of the day before prompt_cache came.
TEST(Models, TakeOptionsOfAnOlderHeader) {
  auto options = defaults<phial_model_options>();
  options.size = offsetof(phial_model_options, prompt_cache);
  options.context_tokens = 40;
  options.prompt_cache = "behind the end of what was given";
  const Model model = open_model(golden("phi3-mini-like"), options);
  auto info = defaults<phial_model_info>();
  phial_error error{};
  ASSERT_EQ(phial_model_get_info(model.get(), &info, &error), PHIAL_OK) << error.message;
  EXPECT_EQ(info.context_tokens, 40);
}

TEST(Models, WithoutATokenizerHaveNoSessions) {
  const Model model = open_model(golden("llama-biased"));
  phial_session* session = nullptr;
  phial_error error{};
  EXPECT_EQ(phial_session_new(model.get(), &session, &error), PHIAL_INVALID);
}

TEST(Requests, ThatMakeNoSenseAreRefusedAndTheSessionGoesOn) {
  const Model model = open_model(golden("phi3-mini-like"));
  const Session session = new_session(model);
  phial_error error{};
  const auto refused = [&](auto change, const char* prompt = "x") {
    auto options = defaults<phial_generate_options>();
    change(options);
    return phial_session_complete(session.get(), prompt, &options, nullptr, nullptr, &error);
  };
  EXPECT_EQ(refused([](auto& o) { o.max_tokens = -1; }), PHIAL_INVALID);
  EXPECT_EQ(refused([](auto& o) { o.max_tokens = 1 << 30; }), PHIAL_OUT_OF_RANGE);
  EXPECT_EQ(refused([](auto& o) { o.temperature = -1; }), PHIAL_INVALID);
  EXPECT_EQ(refused([](auto& o) { o.stop_count = 1; }), PHIAL_INVALID);
  EXPECT_EQ(refused([](auto&) {}, "\x80"), PHIAL_INVALID);
  EXPECT_EQ(phial_session_chat(session.get(), "[]", nullptr, nullptr, nullptr, &error), PHIAL_INVALID);
  EXPECT_EQ(complete(session, kPrompts[0], 8), engine_writes(golden("phi3-mini-like"), kPrompts[0], 8));
}

TEST(Tokens, GoBothWaysAndAreCutToFit) {
  const Model model = open_model(golden("phi3-mini-like"));
  const std::string text = "Ça va, 世界?";
  phial_error error{};
  size_t count = 0, bytes = 0;
  ASSERT_EQ(phial_model_tokenize(model.get(), text.c_str(), 0, nullptr, 0, &count, &error), PHIAL_OK);
  std::vector<int32_t> ids(count);
  ASSERT_EQ(phial_model_tokenize(model.get(), text.c_str(), 0, ids.data(), ids.size(), &count, &error), PHIAL_OK);
  EXPECT_EQ(count, ids.size());
  char back[64];
  ASSERT_EQ(phial_model_detokenize(model.get(), ids.data(), ids.size(), back, sizeof back, &bytes, &error), PHIAL_OK);
  EXPECT_EQ(back, text);
  EXPECT_EQ(bytes, text.size());
  for (size_t room = 1; room < text.size(); ++room) {
    ASSERT_EQ(phial_model_detokenize(model.get(), ids.data(), ids.size(), back, room, &bytes, &error), PHIAL_OK);
    EXPECT_TRUE(text.starts_with(back));
    EXPECT_LT(std::string(back).size(), room);
  }
  size_t with_bos = 0;
  ASSERT_EQ(phial_model_tokenize(model.get(), text.c_str(), PHIAL_BOS, nullptr, 0, &with_bos, &error), PHIAL_OK);
  EXPECT_EQ(with_bos, count + 1);
  size_t as_text = 0, as_token = 0;
  ASSERT_EQ(phial_model_tokenize(model.get(), "<|end|>", 0, nullptr, 0, &as_text, &error), PHIAL_OK);
  ASSERT_EQ(phial_model_tokenize(model.get(), "<|end|>", PHIAL_SPECIAL, nullptr, 0, &as_token, &error), PHIAL_OK);
  EXPECT_EQ(as_token, 1U);
  EXPECT_GT(as_text, 1U);
  EXPECT_EQ(phial_model_tokenize(model.get(), "x", 64, nullptr, 0, &count, &error), PHIAL_UNSUPPORTED);
}

// The fixture sees but has no tokenizer: it gets that of another.
class Seeing : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* file : {"config.json", "preprocessor_config.json", "model.safetensors"}) {
      std::filesystem::copy(golden("phi3-vision-like/") + file, folder / file);
    }
    for (const char* file : {"tokenizer.model", "tokenizer_config.json", "added_tokens.json"}) {
      std::filesystem::copy(golden("phi3-mini-like/") + file, folder / file);
    }
  }

  static std::string answer(const Session& session, const phial_image* image) {
    auto options = defaults<phial_generate_options>();
    options.max_tokens = 6;
    options.ignore_end = 1;
    options.images = &image;
    options.image_count = 1;
    phial_error error{};
    std::string text;
    EXPECT_EQ(phial_session_chat(session.get(), R"([{"role": "user", "content": "What is this?", "images": [0]}])",
                                 &options, collect, &text, &error),
              PHIAL_OK)
        << error.message;
    return text;
  }

  TempFolder folder;
};

TEST_F(Seeing, APictureIsTheSameByItsPathAndByItsBytes) {
  const Model model = open_model(folder.path().string());
  auto info = defaults<phial_model_info>();
  phial_error error{};
  ASSERT_EQ(phial_model_get_info(model.get(), &info, &error), PHIAL_OK);
  EXPECT_EQ(info.sees, 1);
  const Session session = new_session(model);
  const std::string file = golden("phi3-vision-like/image0.png");
  phial_image* opened = nullptr;
  phial_image* decoded = nullptr;
  ASSERT_EQ(phial_image_open(file.c_str(), &opened, &error), PHIAL_OK) << error.message;
  const Image by_path(opened);
  const std::string bytes = *read_text_file(file);
  ASSERT_EQ(phial_image_from_bytes(bytes.data(), bytes.size(), &decoded, &error), PHIAL_OK) << error.message;
  const Image by_bytes(decoded);
  const std::string text = answer(session, by_path.get());
  EXPECT_EQ(text, answer(new_session(model), by_bytes.get()));
  EXPECT_GT(generation_of(session).prompt_tokens, 100);

  // Oracle: the engine itself, given the same picture.
  ThreadPool pool(1);
  const auto engine = generate::Engine::open(folder.path(), {}, pool);
  ASSERT_TRUE(engine);
  generate::GenerateRequest request;
  request.messages = {{"user", "What is this?", {std::make_shared<const formats::Image>(*formats::read_image(file))}}};
  request.max_tokens = 6;
  request.ignore_end = true;
  EXPECT_EQ(text, (*engine)->generate(request, nullptr)->text);
}

TEST_F(Seeing, AModelThatDoesNotSeeSaysSo) {
  const Model model = open_model(golden("phi3-mini-like"));
  const Session session = new_session(model);
  phial_image* opened = nullptr;
  phial_error error{};
  ASSERT_EQ(phial_image_open(golden("phi3-vision-like/image0.png").c_str(), &opened, &error), PHIAL_OK);
  const Image image(opened);
  const phial_image* images[] = {image.get()};
  auto options = defaults<phial_generate_options>();
  options.images = images;
  options.image_count = 1;
  EXPECT_EQ(phial_session_chat(session.get(), R"([{"role": "user", "content": "?", "images": [0]}])", &options, nullptr,
                               nullptr, &error),
            PHIAL_INVALID);
  EXPECT_THAT(error.message, HasSubstr("see"));
}

class SmolLm2Chat : public DefaultModels {};

TEST_F(SmolLm2Chat, AnswersAsTheReferenceDoesUpToTheSafePrefix) {
  auto exact = defaults<phial_model_options>();
  exact.exact = 1;
  const Model model = open_model(smollm2().string(), exact);
  const Session session = new_session(model);
  const auto reference = read_json_if_there(golden("real/smollm2-135m-instruct-q4_1/expected.json"));
  ASSERT_TRUE(reference);
  for (const Json& one : (*reference)["cases"]) {
    if (!one.contains("messages")) continue;
    auto options = defaults<phial_generate_options>();
    options.max_tokens = one["safe_prefix"];
    options.ignore_end = 1;
    phial_error error{};
    ASSERT_EQ(phial_session_chat(session.get(), dump_json(one["messages"]).c_str(), &options, nullptr, nullptr, &error),
              PHIAL_OK)
        << error.message;
    const phial_generation generation = generation_of(session);
    std::vector<int32_t> wanted = one["greedy_ids"];
    wanted.resize(static_cast<size_t>(options.max_tokens));
    EXPECT_EQ(std::vector<int32_t>(generation.ids, generation.ids + generation.id_count), wanted);
    EXPECT_EQ(generation.prompt_tokens, static_cast<int>(one["prompt_ids"].size()));
  }
}

}  // namespace
}  // namespace phial::capi
