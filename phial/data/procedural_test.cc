#include "phial/data/procedural.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <set>
#include <sstream>
#include <string_view>

#include "phial/base/fnv.h"
#include "phial/base/json.h"
#include "phial/base/mapped_file.h"
#include "phial/base/temp_folder_for_test.h"
#include "phial/formats/conversations.h"
#include "phial/formats/documents.h"

namespace phial::data {
namespace {
namespace fs = std::filesystem;
using testing::HasSubstr;

std::vector<std::string> all_exercises() { return {exercise_kinds().begin(), exercise_kinds().end()}; }

Result<ProceduralReport> write(const fs::path& out, ProceduralOptions options) {
  if (options.kinds.empty()) options.kinds = all_exercises();
  return write_procedural(out, options, {}, [](const ProceduralReport&) {});
}

// What is asked in each line, but for how it is asked: numbers and signs of expressions, of which those of two numbers
// may stand there in words.
std::set<std::string> expressions_of(const fs::path& path) {
  std::set<std::string> expressions;
  const auto conversations = formats::read_conversations(path);
  for (const auto& conversation : *conversations) {
    std::string text = conversation.turns.front().text;
    for (const auto& [words, sign] : {std::pair{"plus", "+"}, {"minus", "-"}, {"times", "*"}, {"divided by", "/"}}) {
      if (const size_t at = text.find(words); at != std::string::npos) text.replace(at, std::strlen(words), sign);
    }
    if (text.find("remainder") != std::string::npos) text += "%";
    std::erase_if(text, [](char c) { return std::string_view("0123456789+-*/%()").find(c) == std::string_view::npos; });
    expressions.insert(text);
  }
  return expressions;
}

TEST(Procedural, TheSameSeedGivesTheSameBytesEverywhere) {
  const TempFolder folder;
  ASSERT_TRUE(write(folder / "a.jsonl", {.kinds = {}, .rows = 500, .seed = 7}));
  Fnv1a hash;
  hash.add(*read_text_file(folder / "a.jsonl"));
  // Of other processors and compilers, too: changes with what the exercises say, and with nothing else.
  EXPECT_EQ(hash.value(), 14948468119281999438U);
  ASSERT_TRUE(write(folder / "b.jsonl", {.kinds = {}, .rows = 500, .seed = 8}));
  EXPECT_NE(*read_text_file(folder / "a.jsonl"), *read_text_file(folder / "b.jsonl"));
}

TEST(Procedural, RowsAreWhatPackingAndTuningRead) {
  const TempFolder folder;
  ASSERT_TRUE(write(folder / "text.jsonl", {.kinds = {}, .rows = 300}));
  auto documents = formats::DocumentReader::open(folder / "text.jsonl");
  ASSERT_TRUE(documents);
  size_t texts = 0;
  for (;; ++texts) {
    const auto text = documents->next();
    ASSERT_TRUE(text) << text.error().text();
    if (!*text) break;
  }
  EXPECT_EQ(texts, 300U);
  ASSERT_TRUE(write(folder / "chat.jsonl", {.kinds = {}, .rows = 300, .form = RowForm::kConversation}));
  const auto conversations = formats::read_conversations(folder / "chat.jsonl");
  ASSERT_TRUE(conversations) << conversations.error().text();
  EXPECT_EQ(conversations->size(), 300U);
}

TEST(Procedural, NothingIsInBothPartsWhateverTheSeeds) {
  const TempFolder folder;
  std::set<std::string> parts[2];
  for (const uint64_t seed : {1, 2}) {
    for (const Part part : {Part::kTrain, Part::kHeldOut}) {
      const fs::path path = folder / ("part" + std::to_string(seed) + (part == Part::kTrain ? "t" : "h") + ".jsonl");
      // The easiest ones, of which there are so few that chance alone would bring many into both.
      ASSERT_TRUE(write(path, {.kinds = {"arithmetic"},
                               .rows = 2000,
                               .seed = seed,
                               .part = part,
                               .hardest = 1,
                               .form = RowForm::kConversation}));
      parts[part == Part::kTrain ? 0 : 1].merge(expressions_of(path));
    }
  }
  EXPECT_GT(parts[0].size(), 300U);
  EXPECT_GT(parts[1].size(), 50U);
  for (const std::string& asked : parts[1]) EXPECT_FALSE(parts[0].contains(asked)) << asked;
}

TEST(Procedural, EndsWithTheRowThatReachesTheBytes) {
  const TempFolder folder;
  const auto report = write(folder / "a.jsonl", {.kinds = {"stories"}, .bytes = 20000});
  ASSERT_TRUE(report);
  EXPECT_EQ(report->bytes, fs::file_size(folder / "a.jsonl"));
  EXPECT_GE(report->bytes, 20000U);
  EXPECT_LT(report->bytes, 23000U);
}

TEST(Procedural, NothingStandsThereWhenItFailsOrIsStopped) {
  const TempFolder folder;
  EXPECT_EQ(write(folder / "a.jsonl", {.kinds = {"algebra"}, .rows = 1}).error().code, Code::kInvalid);
  std::stop_source stop;
  const ProceduralOptions endless = {.kinds = all_exercises(), .bytes = uint64_t{1} << 40};
  const auto stopped = write_procedural(folder / "a.jsonl", endless, stop.get_token(),
                                        [&](const ProceduralReport&) { stop.request_stop(); });
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().code, Code::kCancelled);
  EXPECT_TRUE(fs::is_empty(folder.path()));
  ASSERT_TRUE(write(folder / "a.jsonl", {.kinds = {}, .rows = 1}));
  const auto again = write(folder / "a.jsonl", {.kinds = {}, .rows = 1});
  ASSERT_FALSE(again);
  EXPECT_THAT(again.error().text(), HasSubstr("is there already"));
}

}  // namespace
}  // namespace phial::data
