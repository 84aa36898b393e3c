#include "phial/rag/extractive_reader.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "phial/base/default_models_for_test.h"
#include "phial/base/temp_folder_for_test.h"
#include "phial/rag/answer.h"
#include "phial/rag/answerable.h"
#include "phial/rag/fake_embedder.h"
#include "phial/rag/open_embedder.h"
#include "phial/rag/testing.h"

namespace phial::rag {
namespace {

class Reading : public DefaultModels {
 protected:
  void SetUp() override {
    DefaultModels::SetUp();
    if (IsSkipped()) return;
    auto opened = open_embedder(minilm(), model::Precision::kFast, LoadMode::kMap, pool);
    ASSERT_TRUE(opened) << opened.error().text();
    embedder = *std::move(opened);
  }

  std::vector<float> read(std::string_view question, const PassageSentences& passage) {
    const auto scores = embedder->read(question, std::span(&passage, 1));
    EXPECT_TRUE(scores) << (scores ? "" : scores.error().text());
    return scores && scores->size() == 1 ? scores->front() : std::vector<float>(passage.size());
  }

  static size_t best_of(const std::vector<float>& scores) {
    return static_cast<size_t>(std::ranges::max_element(scores) - scores.begin());
  }

  ThreadPool pool{2};
  std::unique_ptr<Embedder> embedder;
  const PassageSentences boat = {"The Marigold is a wooden ferry.", "She was launched at Leith in the spring of 1911.",
                                 "Her captain for twenty years was Agnes Doyle.", "She carried coal and sheep."};
};

TEST_F(Reading, FindsTheSentenceThatAnswers) {
  EXPECT_EQ(best_of(read("Who was the captain of the Marigold?", boat)), 2U);
  EXPECT_EQ(best_of(read("When was the ferry launched?", boat)), 1U);
}

TEST_F(Reading, MissesAnAnswerThatIsNotThere) {
  PassageSentences without = boat;
  without.erase(without.begin() + 2);
  const std::string_view question = "Who was the captain of the Marigold?";
  EXPECT_GT(std::ranges::max(read(question, boat)), std::ranges::max(read(question, without)) + 1);
}

TEST_F(Reading, LongPassagesAreReadToTheirEnd) {
  PassageSentences passage;
  for (int i = 0; i < 120; ++i) passage.push_back("Crate number " + std::to_string(i) + " was full of nails and rope.");
  passage.push_back("The lighthouse keeper's name was Orla Finn.");
  const auto scores = read("What was the name of the lighthouse keeper?", passage);
  ASSERT_EQ(scores.size(), passage.size());
  EXPECT_EQ(best_of(scores), passage.size() - 1);
}

// Plain answers in the forms that people write them in; what type they are must not refuse them.
TEST_F(Reading, WhatStandsThereIsNotRefusedForItsForm) {
  const TempFolder folder;
  const std::filesystem::path docs = folder / "docs";
  std::filesystem::create_directories(docs);
  write_file(
      docs / "pool.txt",
      "# The pool\n\nThe sauna of the pool is open on Tuesdays and Thursdays.\n\nThe cafe serves food "
      "Mon\u2013Fri 9\u201317.\n\nThe lockers are emptied at 9am sharp.\n\nThe pool fee is due on the 3rd.\n\nMaria "
      "Novak, 87, lives next door to the pool.\n\nThe abbey was founded in 987 by monks.\n\nThe oil tank holds "
      "900l.\n\nThe club employs 40 staff.\n\nMonth | Revenue | Visitors\nApril | 900 | 210\nMay | 1240 | 310");
  auto store = Store::open(folder / "library.db", embedder->identity());
  ASSERT_TRUE(store) << store.error().text();
  const auto report = ingest(**store, *embedder, std::span(&docs, 1), test_options(), nullptr);
  ASSERT_TRUE(report) << report.error().text();
  Answerer answerer(**store, *embedder, nullptr);
  for (const char* question :
       {"When is the sauna of the pool open?", "When does the cafe serve food?", "When are the lockers emptied?",
        "When is the pool fee due?", "How old is Maria Novak?", "In which year was the abbey founded?",
        "How many litres does the oil tank hold?", "How many employees does the club have?",
        "What was the revenue in May?", "How many visitors were there in May?"}) {
    const auto answer = answerer.answer(question, {}, {}, nullptr);
    ASSERT_TRUE(answer) << answer.error().text();
    EXPECT_TRUE(answer->answerable) << question << " " << answer->confidence;
  }
}

TEST_F(Reading, TakesWhatCannotBeRead) {
  const std::string long_word(4000, 'x');
  std::string long_question;
  for (int i = 0; i < 600; ++i) long_question += "why ";
  const auto scores = read("Who?", {"", "  ", long_word + " " + long_word, "\xff\xfe"});
  ASSERT_EQ(scores.size(), 4U);
  EXPECT_EQ(scores[0], kLeastReading);
  EXPECT_EQ(scores[1], kLeastReading);
  for (const float score : scores) EXPECT_TRUE(score >= kLeastReading && score < 100) << score;
  EXPECT_EQ(read(long_question, boat).size(), boat.size());
  EXPECT_EQ(read("", boat).size(), boat.size());
  const auto nothing = embedder->read("Who?", std::vector<PassageSentences>(2));
  ASSERT_TRUE(nothing);
  EXPECT_EQ(*nothing, std::vector<std::vector<float>>(2));
}

TEST_F(Reading, AFolderOfAnotherKindInItsPlaceIsNamedWithTheRemedy) {
  const TempFolder folder;
  for (const auto& entry : std::filesystem::directory_iterator(minilm())) {
    if (entry.path().filename() == "reader") continue;
    std::filesystem::create_symlink(std::filesystem::canonical(entry.path()),
                                    folder / entry.path().filename().string());
  }
  std::filesystem::create_directory(folder / "reader");
  const auto open = [&] { return open_embedder(folder.path(), model::Precision::kFast, LoadMode::kMap, pool); };
  for (const char* config : {"", "{}", R"({"peft_type": "LORA", "lora_alpha": 4})"}) {
    if (*config != '\0') std::ofstream(folder / "reader/adapter_config.json") << config;
    const auto opened = open();  // what adds documents needs none
    ASSERT_TRUE(opened) << opened.error().text();
    const auto read = (*opened)->read("Who?", std::span(&boat, 1));
    ASSERT_FALSE(read);
    EXPECT_NE(read.error().text().find("move the folder " + (folder / "reader").string() + " away"), std::string::npos)
        << read.error().text();
  }
  // A file of that name is none of ours.
  std::filesystem::remove_all(folder / "reader");
  std::ofstream(folder / "reader") << "notes";
  const auto opened = open();
  ASSERT_TRUE(opened) << opened.error().text();
  EXPECT_TRUE((*opened)->read("Who?", std::span(&boat, 1))->empty());
}

TEST(WithoutAReader, NothingIsRead) {
  FakeEmbedder embedder;
  const std::vector<PassageSentences> passages = {{"One sentence."}};
  const auto read = embedder.read("Which?", passages);
  ASSERT_TRUE(read);
  EXPECT_TRUE(read->empty());
}

TEST(Confidence, RisesWithWhatIsRead) {
  AnswerSigns signs;
  signs.joint = 0.2;
  signs.size = 2;
  signs.reading = -8;
  EXPECT_LT(confidence(signs), kAnswerable);
  signs.reading = 8;
  EXPECT_GT(confidence(signs), kAnswerable);
  signs.reading.reset();
  EXPECT_TRUE(to_json(signs)["reading"].is_null());
}

}  // namespace
}  // namespace phial::rag
