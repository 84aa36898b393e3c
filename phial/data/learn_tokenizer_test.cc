#include "phial/data/learn_tokenizer.h"

#include <gtest/gtest.h>

#include <fstream>

#include "phial/base/json_file.h"
#include "phial/base/temp_folder_for_test.h"
#include "phial/tokenizer/load.h"

namespace phial::data {
namespace {

namespace fs = std::filesystem;

class LearnTokenizer : public testing::Test {
 protected:
  LearnTokenizer() {
    std::ofstream(folder_ / "a.txt") << "the cat and the dog";
    std::ofstream(folder_ / "b.jsonl") << R"({"text": "the cat sat on the mat"})" << "\n" << R"({"text": ""})" << "\n";
    std::ofstream(folder_ / "empty.txt");
  }

  Result<LearnedTokenizer> learn(std::initializer_list<const char*> names, size_t vocab_size = 280) const {
    std::vector<fs::path> paths;
    for (const char* name : names) paths.push_back(folder_ / name);
    return learn_tokenizer(paths, vocab_size, folder_ / "out", {}, [](auto, auto, auto) {});
  }

  TempFolder folder_;
};

TEST_F(LearnTokenizer, WritesAFolderThatOpensWithTheMarkersOfPhi3) {
  const auto learned = learn({"a.txt", "b.jsonl"});
  ASSERT_TRUE(learned) << learned.error().text();
  EXPECT_EQ(learned->text_bytes, 19U + 22U);
  const auto tokenizer = tokenizer::from_folder(folder_ / "out");
  ASSERT_TRUE(tokenizer) << tokenizer.error().text();
  EXPECT_EQ((*tokenizer)->vocab_size(), static_cast<int>(learned->vocab_size));
  EXPECT_EQ((*tokenizer)->end_of_text(), std::vector<int32_t>{0});
  EXPECT_FALSE((*tokenizer)->adds_bos());
  EXPECT_EQ((*tokenizer)->encode("the").size(), 1U);
  const auto config = read_json_if_there(folder_ / "out/tokenizer_config.json");
  ASSERT_TRUE(config);
  EXPECT_NE((*config)["chat_template"].get<std::string>().find("<|assistant|>"), std::string::npos);
}

TEST_F(LearnTokenizer, LeavesNothingBehindWhenItFails) {
  const auto message = [&](const Result<LearnedTokenizer>& learned) { return learned ? "" : learned.error().message; };
  EXPECT_NE(message(learn({"empty.txt"})).find("there is no text in"), std::string::npos);
  EXPECT_NE(message(learn({"none.txt"})).find("none.txt"), std::string::npos);
  EXPECT_NE(message(learn({"a.txt"}, 260)).find("no room"), std::string::npos);
  EXPECT_FALSE(fs::exists(folder_ / "out"));
  ASSERT_TRUE(learn({"a.txt"}));
  EXPECT_FALSE(learn({"a.txt"})) << "it is there already";
}

}  // namespace
}  // namespace phial::data
