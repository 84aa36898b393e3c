#include "phial/cli/depths.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace phial::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(Depths, AreOneNumberOrAListInTheOrderGiven) {
  EXPECT_THAT(*parse_depths("0"), ElementsAre(0));
  EXPECT_THAT(*parse_depths("4000"), ElementsAre(4000));
  EXPECT_THAT(*parse_depths("0,1k,2k,4k"), ElementsAre(0, 1024, 2048, 4096));
  EXPECT_THAT(*parse_depths("2K,100"), ElementsAre(2048, 100));
  EXPECT_THAT(*parse_depths("1024k"), ElementsAre(kMostDepth));
}

TEST(Depths, WhatIsNoNumberIsNamed) {
  for (const char* bad : {"", "x", "-1", "1.5k", "k", "1m", "1048577", "1025k", "99999999999", " 1", "1 "}) {
    for (const std::string& text : {std::string(bad), "0," + std::string(bad)}) {
      const auto depths = parse_depths(text);
      ASSERT_FALSE(depths) << text;
      EXPECT_EQ(depths.error().code, Code::kInvalid);
      EXPECT_EQ(depths.error().message, "'" + std::string(bad) + "' is no value for --depth");
      EXPECT_THAT(depths.error().remedy, HasSubstr("0,1k,2k,4k"));
    }
  }
}

TEST(Depths, ThereAreNotEndlesslyMany) {
  std::string text = "1";
  for (int i = 0; i < 31; ++i) text += ",1";
  EXPECT_EQ(parse_depths(text)->size(), 32U);
  EXPECT_FALSE(parse_depths(text + ",1"));
}

}  // namespace
}  // namespace phial::cli
