// Embeddings, and libraries of documents, with the default models and the fake reader of rag's tests.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <limits>
#include <thread>
#include <vector>

#include "phial/base/default_models_for_test.h"
#include "phial/base/json.h"
#include "phial/base/json_file.h"
#include "phial/base/temp_folder_for_test.h"
#include "phial/capi/handles.h"
#include "phial/capi/testing.h"
#include "phial/formats/checkpoint.h"

namespace phial::capi {
namespace {

using testing::HasSubstr;
namespace fs = std::filesystem;

class WithEmbedder : public DefaultModels {
 protected:
  void SetUp() override {
    DefaultModels::SetUp();
    if (IsSkipped()) return;
    auto options = defaults<phial_embedder_options>();
    options.threads = 2;
    options.exact = 1;
    phial_embedder* opened = nullptr;
    phial_error error{};
    ASSERT_EQ(phial_embedder_open(minilm().c_str(), &options, &opened, &error), PHIAL_OK) << error.message;
    embedder.reset(opened);
  }
  std::vector<float> embed(const std::vector<std::string>& texts) const {
    std::vector<const char*> pointers;
    for (const std::string& text : texts) pointers.push_back(text.c_str());
    std::vector<float> vectors(texts.size() * phial_embedder_dimension(embedder.get()));
    phial_error error{};
    EXPECT_EQ(phial_embedder_embed(embedder.get(), pointers.data(), pointers.size(), vectors.data(), nullptr, &error),
              PHIAL_OK)
        << error.message;
    return vectors;
  }

  void write(const std::string& name, const std::string& text) const {
    fs::create_directories(folder / "docs");
    std::ofstream(folder / "docs" / name) << text;
  }

  Library open_library(const std::string& name = "library.db") const {
    auto options = defaults<phial_library_options>();
    options.reader = PHIAL_READER;
    phial_library* library = nullptr;
    phial_error error{};
    EXPECT_EQ(phial_library_open((folder / name).c_str(), embedder.get(), &options, &library, &error), PHIAL_OK)
        << error.message;
    return Library(library);
  }

  phial_add_report add(const Library& library, phial_add_options options = defaults<phial_add_options>()) const {
    auto report = defaults<phial_add_report>();
    phial_error error{};
    const std::string docs = (folder / "docs").string();
    const char* paths[] = {docs.c_str()};
    EXPECT_EQ(phial_library_add(library.get(), paths, 1, &options, &report, &error), PHIAL_OK) << error.message;
    return report;
  }

  TempFolder folder;
  Embedder embedder;
};

TEST_F(WithEmbedder, EmbeddingsAreThoseOfTheReference) {
  const auto json = read_json_if_there(golden("real/all-minilm-l6-v2/expected.json"));
  ASSERT_TRUE(json);
  std::vector<std::string> texts;
  for (const Json& one : (*json)["sentences"]) texts.push_back(one["text"]);
  const auto expected = formats::Checkpoint::open(golden("real/all-minilm-l6-v2/expected.safetensors"));
  ASSERT_TRUE(expected) << expected.error().text();
  const auto* wanted = expected->find("embeddings");
  ASSERT_NE(wanted, nullptr);
  const std::vector<float> found = embed(texts);
  ASSERT_EQ(found.size() * sizeof(float), wanted->bytes.size());
  const auto* reference = reinterpret_cast<const float*>(wanted->bytes.data());
  for (size_t i = 0; i < found.size(); ++i) ASSERT_NEAR(found[i], reference[i], 1e-5) << i;
  EXPECT_EQ(phial_embedder_dimension(embedder.get()), 384U);
}

TEST_F(WithEmbedder, ThreadsThatEmbedAtOnceGetTheirOwnVectors) {
  const std::vector<std::string> texts = {"the sea", "a contract about rent", "", "naïve café"};
  const std::vector<float> wanted = embed(texts);
  std::vector<std::vector<float>> found(4);
  std::vector<std::thread> threads;
  for (auto& own : found) threads.emplace_back([&] { own = embed(texts); });
  for (std::thread& thread : threads) thread.join();
  for (const auto& own : found) EXPECT_EQ(own, wanted);
}

TEST_F(WithEmbedder, EmbeddingIsStopped) {
  const Cancel cancel(phial_cancel_new());
  phial_cancel_request(cancel.get());
  const char* texts[] = {"x"};
  std::vector<float> vectors(384);
  phial_error error{};
  EXPECT_EQ(phial_embedder_embed(embedder.get(), texts, 1, vectors.data(), cancel.get(), &error), PHIAL_CANCELLED);
}

TEST_F(WithEmbedder, ALibraryIsFilledSearchedAndAsked) {
  write("lease.txt", "The lease of the flat in Harbour Street ends on 31 March 2027. The rent is 900 euros a month.");
  write("bread.txt", "Bread is baked from flour, water, salt and yeast at 230 degrees for forty minutes.");
  const Library library = open_library();
  int steps = 0;
  auto counting = defaults<phial_add_options>();
  counting.progress_data = &steps;
  counting.on_progress = [](void* count, const phial_progress* progress) {
    EXPECT_LE(progress->files_done, progress->files_total);
    ++*static_cast<int*>(count);
    return 0;
  };
  EXPECT_EQ(add(library, counting).added, 2);
  EXPECT_GE(steps, 2);
  EXPECT_EQ(add(library).unchanged, 2);
  auto totals = defaults<phial_library_info>();
  phial_error error{};
  ASSERT_EQ(phial_library_get_info(library.get(), &totals, &error), PHIAL_OK) << error.message;
  EXPECT_EQ(totals.documents, 2);

  phial_answer* made = nullptr;
  ASSERT_EQ(phial_library_search(library.get(), "When does the lease end?", nullptr, &made, &error), PHIAL_OK)
      << error.message;
  const Answer found(made);
  auto first = defaults<phial_citation>();
  ASSERT_EQ(phial_answer_get_citation(found.get(), 0, &first, &error), PHIAL_OK) << error.message;
  EXPECT_THAT(first.path, HasSubstr("lease.txt"));
  EXPECT_EQ(first.n, 1);
  EXPECT_EQ((*parse_json(phial_answer_json(found.get())))[0]["path"], first.path);
  EXPECT_EQ(phial_answer_get_citation(found.get(), 99, &first, &error), PHIAL_OUT_OF_RANGE);

  std::string streamed;
  ASSERT_EQ(phial_library_ask(library.get(), nullptr, "When does the lease of the flat end?", nullptr, collect,
                              &streamed, &made, &error),
            PHIAL_OK)
      << error.message;
  const Answer answer(made);
  auto info = defaults<phial_answer_info>();
  ASSERT_EQ(phial_answer_get_info(answer.get(), &info, &error), PHIAL_OK);
  EXPECT_EQ(info.text, streamed);
  EXPECT_EQ(info.answerable, 1);
  EXPECT_EQ(info.quoted, 1);
  EXPECT_THAT(info.text, HasSubstr("31 March 2027"));
  ASSERT_GE(info.citation_count, 1U);
  EXPECT_EQ((*parse_json(phial_answer_json(answer.get())))["answer"], info.text);
}

TEST_F(WithEmbedder, AModelAnswersFromALibraryThatOutlivesIt) {
  write("lease.txt", "The lease of the flat in Harbour Street ends on 31 March 2027. The rent is 900 euros a month.");
  const Library library = open_library();
  add(library);
  Model model = open_model(smollm2().string());
  phial_answer* made = nullptr;
  phial_error error{};
  const auto ask = [&](phial_model* with, const char* history) {
    auto options = defaults<phial_ask_options>();
    options.history_json = history;
    EXPECT_EQ(
        phial_library_ask(library.get(), with, "When does the lease end?", &options, nullptr, nullptr, &made, &error),
        PHIAL_OK)
        << error.message;
    const Answer answer(made);
    return std::string(phial_answer_json(answer.get()));
  };
  const std::string alone = ask(model.get(), nullptr);
  EXPECT_EQ((*parse_json(alone))["model"].get<std::string>().empty(), false);
  EXPECT_THAT(alone, HasSubstr("31 March 2027"));
  ask(model.get(), R"([{"role": "user", "content": "Tell me about the flat."},
                       {"role": "assistant", "content": "It is in Harbour Street."}])");
  model.reset();
  embedder.reset();
  EXPECT_THAT(ask(nullptr, nullptr), HasSubstr("31 March 2027"));
}

// A search or a question without a model that was stopped leaves the same answer to the next.
TEST_F(WithEmbedder, SearchesAreStoppedAndTheLibraryAnswersAsBefore) {
  for (int i = 0; i < 12; ++i) write(std::to_string(i) + ".txt", "Chapter " + std::to_string(i) + " tells of the sea.");
  const Library library = open_library();
  add(library);
  phial_error error{};
  const auto look = [&](phial_cancel* cancel, bool asks, std::string* json) {
    auto generate = defaults<phial_generate_options>();
    generate.cancel = cancel;
    auto options = defaults<phial_ask_options>();
    options.generate = &generate;
    phial_answer* made = nullptr;
    const char* question = "What does chapter 7 tell of?";
    const phial_code code =
        asks ? phial_library_ask(library.get(), nullptr, question, &options, nullptr, nullptr, &made, &error)
             : phial_library_search(library.get(), question, &options, &made, &error);
    const Answer answer(made);
    if (code == PHIAL_OK && json != nullptr) *json = phial_answer_json(answer.get());
    return code;
  };
  std::string wanted;
  ASSERT_EQ(look(nullptr, false, &wanted), PHIAL_OK) << error.message;
  const Cancel requested(phial_cancel_new());
  phial_cancel_request(requested.get());
  ASSERT_EQ(look(nullptr, true, nullptr), PHIAL_OK) << error.message;
  // The vectors that were read stay.
  const auto* retriever = library->retriever.get();
  const auto* asker = library->asker.get();
  ASSERT_TRUE(retriever != nullptr && asker != nullptr);
  for (const bool asks : {false, true}) {
    EXPECT_EQ(look(requested.get(), asks, nullptr), PHIAL_CANCELLED);
    EXPECT_STRNE(error.message, "");
  }
  EXPECT_EQ(library->retriever.get(), retriever);
  EXPECT_EQ(library->asker.get(), asker);
  // From another thread, at any moment of a search.
  for (int round = 0; round < 20; ++round) {
    const Cancel cancel(phial_cancel_new());
    std::atomic<bool> has_begun = false;
    std::thread other([&] {
      while (!has_begun) std::this_thread::yield();
      for (int i = 0; i < round; ++i) std::this_thread::yield();
      phial_cancel_request(cancel.get());
    });
    has_begun = true;
    phial_code code = PHIAL_OK;
    while (code == PHIAL_OK) code = look(cancel.get(), false, nullptr);
    other.join();
    EXPECT_EQ(code, PHIAL_CANCELLED);
    EXPECT_EQ(library->retriever.get(), retriever);
  }
  std::string found;
  ASSERT_EQ(look(nullptr, false, &found), PHIAL_OK) << error.message;
  EXPECT_EQ(found, wanted);
}

int stop_at_once(void*, const char*, size_t) { return 1; }

TEST_F(WithEmbedder, StoppedCallsLeaveALibraryThatAnswers) {
  for (int i = 0; i < 20; ++i) write(std::to_string(i) + ".txt", "Chapter " + std::to_string(i) + " tells of the sea.");
  const Library library = open_library();
  auto options = defaults<phial_add_options>();
  options.on_progress = [](void*, const phial_progress*) { return 1; };
  const std::string docs = (folder / "docs").string();
  const char* paths[] = {docs.c_str()};
  phial_error error{};
  EXPECT_EQ(phial_library_add(library.get(), paths, 1, &options, nullptr, &error), PHIAL_CANCELLED);
  EXPECT_EQ(add(library).problem_count, 0U);
  const Model model = open_model(smollm2().string());
  phial_answer* answer = nullptr;
  const phial_code code = phial_library_ask(library.get(), model.get(), "What does chapter 7 tell of?", nullptr,
                                            stop_at_once, nullptr, &answer, &error);
  if (code == PHIAL_OK) phial_answer_free(answer);
  EXPECT_TRUE(code == PHIAL_CANCELLED || code == PHIAL_OK) << error.message;
  ASSERT_EQ(phial_library_ask(library.get(), model.get(), "What does chapter 7 tell of?", nullptr, nullptr, nullptr,
                              &answer, &error),
            PHIAL_OK)
      << error.message;
  phial_answer_free(answer);
}

TEST_F(WithEmbedder, WhatIsWrongIsSaidAndFilesThatCannotBeReadAreProblems) {
  write("fine.txt", "Something to read about the sea.");
  write("crash.txt", "CRASH");
  write("scan.txt", "PARTIAL scan of the harbour.");
  const Library library = open_library();
  phial_error error{};
  phial_answer* answer = nullptr;
  EXPECT_EQ(phial_library_search(library.get(), " \n", nullptr, &answer, &error), PHIAL_INVALID);
  // Programs whose header has no `figures`.
  auto earlier = defaults<phial_ask_options>();
  earlier.size = offsetof(phial_ask_options, figures);
  earlier.figures = 99;
  EXPECT_EQ(phial_library_search(library.get(), "What is there?", &earlier, &answer, &error), PHIAL_OK)
      << error.message;
  phial_answer_free(answer);
  auto many = defaults<phial_ask_options>();
  many.figures = std::numeric_limits<int32_t>::max();
  EXPECT_EQ(phial_library_search(library.get(), "What is there?", &many, &answer, &error), PHIAL_INVALID);
  const char* nowhere[] = {"/no/such/folder"};
  EXPECT_EQ(phial_library_add(library.get(), nowhere, 1, nullptr, nullptr, &error), PHIAL_NOT_FOUND);
  EXPECT_EQ(phial_library_add(library.get(), nullptr, 0, nullptr, nullptr, &error), PHIAL_INVALID);
  const auto report = add(library);
  EXPECT_EQ(report.added, 2);
  EXPECT_EQ(report.problem_count, 2U);
  for (size_t i = 0; i < report.problem_count; ++i) {
    auto problem = defaults<phial_problem>();
    ASSERT_EQ(phial_library_get_problem(library.get(), i, &problem, &error), PHIAL_OK);
    EXPECT_STRNE(problem.message, "");
    EXPECT_EQ(problem.in_library != 0, std::string_view(problem.path).ends_with("scan.txt"));
    auto short_one = defaults<phial_problem>();  // of programs whose header has no `in_library`
    short_one.size = offsetof(phial_problem, in_library);
    EXPECT_EQ(phial_library_get_problem(library.get(), i, &short_one, &error), PHIAL_OK) << error.message;
  }
  auto problem = defaults<phial_problem>();
  EXPECT_EQ(phial_library_get_problem(library.get(), report.problem_count, &problem, &error), PHIAL_OUT_OF_RANGE);
  auto options = defaults<phial_library_options>();
  options.reader = "/no/such/reader";
  phial_library* other = nullptr;
  ASSERT_EQ(phial_library_open((folder / "other.db").c_str(), embedder.get(), &options, &other, &error), PHIAL_OK);
  const Library without_reader(other);
  const auto failed = add(without_reader);
  EXPECT_EQ(failed.added, 0);
  EXPECT_GE(failed.problem_count, 1U);
}

}  // namespace
}  // namespace phial::capi
