#include "phial/formats/documents.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace phial::formats {
namespace {
namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class Documents : public testing::Test {
 protected:
  Documents()
      : folder_(fs::path(testing::TempDir()) /
                (std::string("phial_documents_") + testing::UnitTest::GetInstance()->current_test_info()->name())) {
    fs::create_directories(folder_);
  }
  ~Documents() override { fs::remove_all(folder_); }
  Documents(const Documents&) = delete;
  Documents& operator=(const Documents&) = delete;

  Result<DocumentReader> open(const std::string& name, const std::string& text) const {
    std::ofstream(folder_ / name, std::ios::binary) << text;
    return DocumentReader::open(folder_ / name);
  }

  fs::path folder_;
};

std::vector<std::string> all_of(Result<DocumentReader> reader) {
  std::vector<std::string> texts;
  EXPECT_TRUE(reader);
  for (;;) {
    auto next = reader->next();
    EXPECT_TRUE(next);
    if (!next || !*next) break;
    texts.push_back(**next);
  }
  EXPECT_EQ(reader->bytes_read(), reader->bytes());
  return texts;
}

TEST_F(Documents, EachLineOfJsonIsOneWithTheTextItHolds) {
  EXPECT_THAT(
      all_of(open("a.jsonl", "{\"text\": \"one\\ntwo\", \"id\": 7}\r\n\n  \n{\"text\":\"\"}\n{\"text\":\"\xC3\xA9\"}")),
      ElementsAre("one\ntwo", "\xC3\xA9"));
}

TEST_F(Documents, AnyOtherFileIsOneAndAnEmptyOneIsNone) {
  EXPECT_THAT(all_of(open("a.txt", "{\"text\": 1}\nmore\n")), ElementsAre("{\"text\": 1}\nmore\n"));
  EXPECT_THAT(all_of(open("b.txt", "")), IsEmpty());
  EXPECT_THAT(all_of(open("b.jsonl", "")), IsEmpty());
}

TEST_F(Documents, ALineThatIsNoneIsAnErrorThatNamesIt) {
  for (const char* line :
       {"{\"text\": 5}", "{\"id\": 5}", "[1]", "not json", "{\"text\": \"\xFF\"}", "{\"text\": \"cut"}) {
    auto reader = open("a.jsonl", std::string("{\"text\": \"fine\"}\n\n") + line + "\n");
    ASSERT_TRUE(reader);
    ASSERT_TRUE(reader->next());
    const auto next = reader->next();
    ASSERT_FALSE(next) << line;
    EXPECT_EQ(next.error().code, Code::kCorrupt);
    EXPECT_THAT(next.error().message, HasSubstr("a.jsonl, line 3: "));
  }
}

TEST_F(Documents, ALineWithPicturesIsAnErrorThatSaysWhoReadsThem) {
  auto reader = open("a.jsonl", "{\"text\": \"one\", \"images\": []}\n{\"text\": \"two\", \"images\": [\"a.png\"]}\n");
  ASSERT_TRUE(reader);
  ASSERT_TRUE(reader->next());
  const auto refused = reader->next();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kUnsupported);
  EXPECT_THAT(refused.error().text(), HasSubstr("a.jsonl, line 2: has images"));
  EXPECT_THAT(refused.error().text(), HasSubstr("train vision"));
}

TEST_F(Documents, TextInAnotherEncodingIsAnErrorThatNamesTheFile) {
  auto reader = open("latin.txt", "caf\xE9 au lait");
  ASSERT_TRUE(reader);
  const auto next = reader->next();
  ASSERT_FALSE(next);
  EXPECT_THAT(next.error().message, HasSubstr("latin.txt"));
}

}  // namespace
}  // namespace phial::formats
