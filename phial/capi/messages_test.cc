#include "phial/capi/messages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>

namespace phial::capi {
namespace {

using testing::HasSubstr;

const generate::Picture kPictures[] = {std::make_shared<const formats::Image>(formats::Image{1, 1, {1, 2, 3}}),
                                       std::make_shared<const formats::Image>(formats::Image{1, 1, {4, 5, 6}})};

TEST(Messages, HaveRolesContentsAndPicturesByTheirPlace) {
  const auto messages = read_messages(
      R"([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Ça va?", "images": [1, 0]},
          {"role": "assistant", "content": ""}])",
      kPictures);
  ASSERT_TRUE(messages) << messages.error().text();
  ASSERT_EQ(messages->size(), 3U);
  EXPECT_EQ((*messages)[1].role, "user");
  EXPECT_EQ((*messages)[1].content, "Ça va?");
  EXPECT_THAT((*messages)[1].pictures, testing::ElementsAre(kPictures[1], kPictures[0]));
}

TEST(Messages, ThatAreNoneAreInvalidByTheirPlace) {
  const std::pair<const char*, const char*> wrong[] = {
      {"", "JSON"},
      {"[{]", "JSON"},
      {"[\"\xFF\"]", "JSON"},
      {"{}", "no list"},
      {"[]", "empty"},
      {"[1]", "message 1: it is no object"},
      {R"([{"role": "user", "content": "x"}, {"content": "x"}])", "message 2: it has no role"},
      {R"([{"role": "tool", "content": "x"}])", "unknown role 'tool'"},
      {R"([{"role": "user"}])", "content"},
      {R"([{"role": "user", "content": 3}])", "content"},
      {R"([{"role": "user", "content": "x", "image": [0]}])", "unknown key 'image'"},
      {R"([{"role": "user", "content": "x", "images": 0}])", "no list"},
      {R"([{"role": "user", "content": "x", "images": [2]}])", "image 2 of 2"},
      {R"([{"role": "user", "content": "x", "images": [-1]}])", "image -1"},
      {R"([{"role": "user", "content": "x", "images": ["a.png"]}])", "a.png"},
      {R"([{"role": "user", "content": "x", "images": [1]}])", "no message names image 0"},
  };
  for (const auto& [json, what] : wrong) {
    const auto messages = read_messages(json, kPictures);
    ASSERT_FALSE(messages) << json;
    EXPECT_EQ(messages.error().code, Code::kInvalid) << json;
    EXPECT_THAT(messages.error().message, HasSubstr(what)) << json;
  }
}

}  // namespace
}  // namespace phial::capi
