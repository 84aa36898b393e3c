// phial data procedural and render, as scripts drive them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "phial/base/json.h"
#include "phial/base/mapped_file.h"
#include "tests/process.h"

namespace phial::tests {
namespace {

using testing::HasSubstr;

TEST(Data, MadeUpTextIsPacked) {
  const Home home;
  const std::string text = home.path() / "text.jsonl", packed = home.path() / "packed";
  const Finished made =
      home.run({"data", "procedural", "--count", "200", "--kind", "arithmetic,stories", "--json", text});
  ASSERT_EQ(made.status, 0) << made.err;
  const auto report = parse_json(made.out);
  ASSERT_TRUE(report) << made.out;
  EXPECT_EQ((*report)["rows"], 200);
  EXPECT_EQ((*report)["bytes"], std::filesystem::file_size(text));
  EXPECT_EQ((*report)["kinds"].size(), 2U);
  const Finished pack = home.run({"data", "pack", text, "--tokenizer", kModel, "-o", packed, "--json"});
  ASSERT_EQ(pack.status, 0) << pack.err;
  EXPECT_EQ((*parse_json(pack.out))["train"]["documents"], 200);
}

TEST(Data, PicturesAreDrawnAndNothingIsOverwritten) {
  const Home home;
  const std::string folder = home.path() / "pictures";
  const std::vector<std::string> words = {"data", "render", "--count", "6", "--size", "96", "--json", folder};
  const Finished drawn = home.run(words);
  ASSERT_EQ(drawn.status, 0) << drawn.err;
  EXPECT_EQ((*parse_json(drawn.out))["pictures"], 6);
  EXPECT_TRUE(std::filesystem::exists(std::filesystem::path(folder) / "pictures/000006.png"));
  const std::string before = *read_text_file(std::filesystem::path(folder) / "conversations.jsonl");
  EXPECT_EQ(std::ranges::count(before, '\n'), 6);
  const Finished again = home.run(words);
  EXPECT_EQ(again.status, 1);
  EXPECT_THAT(again.err, HasSubstr("is there already"));
  EXPECT_EQ(*read_text_file(std::filesystem::path(folder) / "conversations.jsonl"), before);
}

TEST(Data, MistakesAreNamed) {
  const Home home;
  const std::string out = home.path() / "out";
  const auto error = [&](std::vector<std::string> words, int status) {
    words.insert(words.begin(), "data");
    words.push_back(out);
    const Finished finished = home.run(words);
    EXPECT_EQ(finished.status, status) << finished.err;
    EXPECT_EQ(std::ranges::count(finished.err, '\n'), 1) << finished.err;
    EXPECT_FALSE(std::filesystem::exists(out));
    return finished.err;
  };
  EXPECT_THAT(error({"procedural", "--kind", "arithmetik"}, 2), HasSubstr("did you mean 'arithmetic'?"));
  EXPECT_THAT(error({"render", "--kind", "table,,geometry"}, 2), HasSubstr("there is no kind ''"));
  EXPECT_THAT(error({"procedural", "--easiest", "4", "--hardest", "2"}, 2), HasSubstr("--easiest 4"));
  EXPECT_THAT(error({"render", "--size", "10"}, 2), HasSubstr("96"));
  const std::string font = home.write("no.ttf", "nothing");
  EXPECT_THAT(error({"render", "--font", font}, 1), HasSubstr("no.ttf"));
}

TEST(Data, CtrlCLeavesNothing) {
  const Home home;
  const std::filesystem::path out = home.path() / "made" / "out";
  std::filesystem::create_directory(out.parent_path());
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"data", "procedural", "--bytes", "1000000000000", out.string()},
        {"data", "render", "--count", "100000000", out.string()}}) {
    const Finished stopped = home.run(words, {.error_is_terminal = true, .signal_when = "ing: "});
    EXPECT_EQ(stopped.status, 130) << stopped.err;
    EXPECT_TRUE(std::filesystem::is_empty(out.parent_path()));
  }
}

}  // namespace
}  // namespace phial::tests
