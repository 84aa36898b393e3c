#include "phial/data/render.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <sstream>
#include <stop_token>
#include <thread>

#include "phial/base/json.h"
#include "phial/base/mapped_file.h"
#include "phial/base/temp_folder_for_test.h"
#include "phial/formats/image.h"

namespace phial::data {
namespace {
namespace fs = std::filesystem;
using testing::HasSubstr;

std::vector<std::string> all_pictures() { return {picture_kinds().begin(), picture_kinds().end()}; }

Result<RenderReport> draw(const fs::path& out, const RenderOptions& options, int threads = 2) {
  ThreadPool pool(threads);
  return render(out, options, pool, {}, [](uint64_t) {});
}

std::vector<Json> rows_in(const fs::path& folder) {
  std::istringstream lines(*read_text_file(folder / "conversations.jsonl"));
  std::vector<Json> rows;
  for (std::string line; std::getline(lines, line);) rows.push_back(*parse_json(line));
  return rows;
}

TEST(Render, EachRowHasAPictureAQuestionAndAnAnswer) {
  const TempFolder folder;
  for (const int size : {kLeastPictureSize, 200}) {
    const fs::path out = folder / std::to_string(size);
    const auto report = draw(out, {.kinds = all_pictures(), .count = 70, .seed = 3, .size = size});
    ASSERT_TRUE(report) << report.error().text();
    EXPECT_EQ(report->pictures.size(), picture_kinds().size());
    const auto rows = rows_in(out);
    ASSERT_EQ(rows.size(), 70U);
    std::set<std::string> pictures;
    for (const Json& row : rows) {
      ASSERT_EQ(row["messages"].size(), 2U);
      EXPECT_EQ(row["messages"][0]["role"], "user");
      EXPECT_THAT(row["messages"][0]["content"].get<std::string>(), testing::StartsWith("<|image_1|>\n"));
      EXPECT_EQ(row["messages"][1]["role"], "assistant");
      EXPECT_NE(row["messages"][1]["content"], "");
      ASSERT_EQ(row["images"].size(), 1U);
      const auto image = formats::read_image(out / row["images"][0].get<std::string>());
      ASSERT_TRUE(image) << image.error().text();
      EXPECT_EQ(image->width, size);
      EXPECT_EQ(image->height, size);
      pictures.insert(row["images"][0].get<std::string>());
    }
    EXPECT_EQ(pictures.size(), rows.size());
    EXPECT_EQ(*pictures.begin(), "pictures/000001.png");
  }
}

TEST(Render, ASecondQuestionIsAskedInOtherWordsAndOfTheSamePicture) {
  const TempFolder folder;
  const auto report =
      draw(folder / "out", {.kinds = all_pictures(), .count = 60, .seed = 6, .questions = 4, .size = 200});
  ASSERT_TRUE(report) << report.error().text();
  size_t most = 0, questions = 0;
  for (const Json& row : rows_in(folder / "out")) {
    EXPECT_EQ(row["images"].size(), 1U);
    std::set<std::string> asked;
    for (size_t i = 0; i < row["messages"].size(); ++i) {
      const auto text = row["messages"][i]["content"].get<std::string>();
      EXPECT_EQ(row["messages"][i]["role"], i % 2 == 0 ? "user" : "assistant");
      EXPECT_EQ(text.starts_with("<|image_1|>\n"), i == 0) << text;
      if (i % 2 == 1) continue;
      EXPECT_TRUE(asked.insert(text.substr(i == 0 ? 12 : 0)).second) << text;
    }
    EXPECT_EQ(row["messages"].size(), 2 * asked.size());
    most = std::max(most, asked.size());
    questions += asked.size();
  }
  EXPECT_EQ(most, 4U);
  EXPECT_GT(questions, 60U * 2);
}

TEST(Render, PicturesAreTheSameForAnyNumberOfThreadsAndOthersForAnotherSeed) {
  const TempFolder folder;
  const RenderOptions options = {.kinds = all_pictures(), .count = 30, .seed = 4, .size = 128};
  ASSERT_TRUE(draw(folder / "one", options, 1));
  ASSERT_TRUE(draw(folder / "three", options, 3));
  RenderOptions other = options;
  other.seed = 5;
  ASSERT_TRUE(draw(folder / "other", other));
  for (const auto& entry : fs::recursive_directory_iterator(folder / "one")) {
    if (!entry.is_regular_file()) continue;
    const fs::path name = fs::relative(entry.path(), folder / "one");
    EXPECT_EQ(*read_text_file(entry.path()), *read_text_file(folder / "three" / name)) << name;
    EXPECT_NE(*read_text_file(entry.path()), *read_text_file(folder / "other" / name)) << name;
  }
}

TEST(Render, NoPictureIsInBothPartsWhateverTheSeeds) {
  const TempFolder folder;
  std::set<std::string> parts[2];
  for (const Part part : {Part::kTrain, Part::kHeldOut}) {
    for (const uint64_t seed : {1, 2}) {
      const fs::path out = folder / (std::to_string(seed) + (part == Part::kTrain ? "t" : "h"));
      // Small ones with few values, of which chance alone would bring some into both.
      const auto report = draw(out, {.kinds = {"geometry"}, .count = 60, .seed = seed, .part = part, .size = 112});
      ASSERT_TRUE(report) << report.error().text();
      for (const Json& row : rows_in(out)) {
        parts[part == Part::kTrain ? 0 : 1].insert(*read_text_file(out / row["images"][0].get<std::string>()));
      }
    }
  }
  EXPECT_GT(parts[1].size(), 100U);
  for (const std::string& picture : parts[1]) EXPECT_FALSE(parts[0].contains(picture));
}

TEST(Render, StopsBetweenTwoPicturesOfABatch) {
  const TempFolder folder;
  std::stop_source stop;
  std::jthread watcher([&](const std::stop_token& is_done) {
    while (!is_done.stop_requested() && fs::is_empty(folder.path())) std::this_thread::yield();
    stop.request_stop();
  });
  ThreadPool pool(2);
  const auto stopped = render(folder / "out", {.kinds = {"geometry"}, .count = 64, .size = 1024}, pool,
                              stop.get_token(), [](uint64_t) {});
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().code, Code::kCancelled);
}

TEST(Render, NothingStandsThereWhenItFailsOrIsStopped) {
  const TempFolder folder;
  const RenderOptions options = {.kinds = {"bar_chart"}, .count = 1000, .size = 128};
  std::stop_source stop;
  ThreadPool pool(2);
  const auto stopped = render(folder / "out", options, pool, stop.get_token(), [&](uint64_t) { stop.request_stop(); });
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().code, Code::kCancelled);
  EXPECT_TRUE(fs::is_empty(folder.path()));
  EXPECT_EQ(draw(folder / "out", {.kinds = {"painting"}, .count = 1}).error().code, Code::kInvalid);
  EXPECT_EQ(draw(folder / "out", {.kinds = {"table"}, .count = 1, .fonts = {folder / "none.ttf"}}).error().code,
            Code::kNotFound);
  fs::create_directory(folder / "out");
  EXPECT_THAT(draw(folder / "out", {.kinds = {"table"}, .count = 1}).error().text(), HasSubstr("is there already"));
  EXPECT_TRUE(fs::is_empty(folder / "out"));
}

}  // namespace
}  // namespace phial::data
