#include "phial/base/json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace phial {
namespace {

using testing::HasSubstr;

TEST(Json, MalformedTextIsAnErrorWithItsPosition) {
  for (const char* text : {"", "{", "[1,]", "nul", "{\"a\" 1}", "1 2", "\"\x01\"", "1e999", "{'a':1}", "// a\n1"}) {
    const auto json = parse_json(text);
    ASSERT_FALSE(json) << text;
    EXPECT_EQ(json.error().code, Code::kCorrupt);
  }
  EXPECT_THAT(parse_json("[1, x]").error().message, HasSubstr("byte 5"));
}

TEST(Json, TextThatIsNotUtf8IsRefused) {
  EXPECT_FALSE(parse_json("\"\xFF\""));
  EXPECT_FALSE(parse_json("\"\xC3\""));
  EXPECT_FALSE(parse_json("\"\xED\xA0\x80\""));
  EXPECT_FALSE(parse_json(R"("\ud800")"));
  EXPECT_EQ(*parse_json(R"("\ud83d\ude00")"), "\xF0\x9F\x98\x80");
}

TEST(Json, NestingHasALimitWhateverStandsInStrings) {
  const auto nested = [](size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  EXPECT_TRUE(parse_json(nested(100)));
  EXPECT_THAT(parse_json(nested(101)).error().message, HasSubstr("nests deeper than 100"));
  EXPECT_FALSE(parse_json(nested(5000000)));
  EXPECT_TRUE(parse_json("\"" + std::string(500, '[') + "\\\"[\""));
}

TEST(Json, AKeyGivenTwiceIsRefusedWhereThatIsAsked) {
  const char* text = R"({"a":1,"b":{"a":2},"c":[{"a":1},{"a":1}],"a":3})";
  EXPECT_EQ((*parse_json(text))["a"], 3);
  EXPECT_THAT(parse_json(text, RepeatedKeys::kRefused).error().message, HasSubstr("'a' is given twice"));
  EXPECT_FALSE(parse_json(R"([{"x":{"k":1,"k":1}}])", RepeatedKeys::kRefused));
  const char* once = R"({"a":1,"b":{"a":2},"c":[{"a":1},{"a":1}]})";
  EXPECT_EQ(*parse_json(once, RepeatedKeys::kRefused), *parse_json(once));
  EXPECT_FALSE(parse_json("{\"a\":", RepeatedKeys::kRefused));
}

TEST(Json, ALineIsWrittenEvenOfStringsThatAreNotUtf8) {
  EXPECT_EQ(dump_json(Json{{"a", "x\xFFy\n"}}), "{\"a\":\"x\xEF\xBF\xBDy\\n\"}");
}

TEST(Json, MembersAreFoundOnlyIfTheyAreOfTheKind) {
  const Json object =
      *parse_json(R"({"i":-5,"u":18446744073709551615,"f":1.5,"whole":4096.0,"b":true,"s":"x","n":null})");
  EXPECT_EQ(find_int(object, "i"), -5);
  EXPECT_EQ(find_int(object, "whole"), 4096);
  EXPECT_EQ(find_int(object, "u"), std::nullopt);
  EXPECT_EQ(find_int(object, "f"), std::nullopt);
  EXPECT_EQ(find_int(object, "s"), std::nullopt);
  EXPECT_EQ(find_int(object, "absent"), std::nullopt);
  EXPECT_EQ(find_number(object, "f"), 1.5);
  EXPECT_EQ(find_number(object, "i"), -5.0);
  EXPECT_EQ(find_number(object, "b"), std::nullopt);
  EXPECT_EQ(find_bool(object, "b"), true);
  EXPECT_EQ(find_bool(object, "i"), std::nullopt);
  EXPECT_EQ(*find_string(object, "s"), "x");
  EXPECT_EQ(find_string(object, "n"), nullptr);
  EXPECT_NE(find_member(object, "n"), nullptr);
  for (const Json& other : {Json::array({1}), Json("text"), Json(nullptr), Json(3)}) {
    EXPECT_EQ(find_member(other, "a"), nullptr);
    EXPECT_EQ(find_string(other, "a"), nullptr);
    EXPECT_EQ(find_int(other, "a"), std::nullopt);
  }
}

}  // namespace
}  // namespace phial
