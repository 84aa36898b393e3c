#include "phial/cli/flags.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace phial::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

struct Asked {
  int count = 5;
  float temperature = 0;
  bool greedy = false;
  std::optional<std::string> model;
  std::vector<std::string> docs;
  std::string question;
  std::string precision = "fast";

  Flags flags() {
    Flags flags;
    flags.add("-n,--count", &count, "N", "how many").between(1, 10);
    flags.add("--temperature", &temperature, "T", "how random").at_least(0);
    flags.add("--greedy", greedy, "no randomness");
    flags.add("-m,--model", &model, "M", "which");
    flags.add("--docs", &docs, "PATH", "documents");
    flags.add("--precision", &precision, "P", "how exact").one_of({"exact", "fast"});
    flags.argument("QUESTION", &question, "what to ask").must();
    return flags;
  }
  Result<Parsed> parse(std::vector<std::string> words) { return cli::parse("ask", flags(), words); }
};

TEST(Flags, FillTheirVariables) {
  Asked asked;
  ASSERT_TRUE(asked.parse({"-n", "7", "--temperature=0.5", "--greedy", "-m", "x", "--precision", "exact", "why?"}));
  EXPECT_EQ(asked.count, 7);
  EXPECT_EQ(asked.temperature, 0.5F);
  EXPECT_TRUE(asked.greedy);
  EXPECT_EQ(asked.model, "x");
  EXPECT_EQ(asked.precision, "exact");
  EXPECT_EQ(asked.question, "why?");
}

TEST(Flags, AListLeavesTheQuestionToTheQuestion) {
  Asked asked;
  ASSERT_TRUE(asked.parse({"--docs", "a", "b", "why?"}));
  EXPECT_THAT(asked.docs, ElementsAre("a", "b"));
  EXPECT_EQ(asked.question, "why?");
}

TEST(Flags, AListMayBeGivenInPieces) {
  Asked asked;
  ASSERT_TRUE(asked.parse({"--docs", "a", "--docs", "b", "why?"}));
  EXPECT_THAT(asked.docs, ElementsAre("a", "b"));
  Asked after;
  ASSERT_TRUE(after.parse({"why?", "--docs", "a", "b"}));
  EXPECT_THAT(after.docs, ElementsAre("a", "b"));
}

TEST(Flags, OneEachTakesOneWordATime) {
  std::vector<std::string> stop;
  std::string question;
  Flags flags;
  flags.add("--stop", &stop, "S", "").one_each();
  flags.argument("QUESTION", &question, "");
  ASSERT_TRUE(parse("ask", flags, std::vector<std::string>{"--stop", "a", "why?", "--stop", "b"}));
  EXPECT_THAT(stop, ElementsAre("a", "b"));
  EXPECT_EQ(question, "why?");
}

TEST(Flags, TheLastOfARepeatedValueCounts) {
  Asked asked;
  ASSERT_TRUE(asked.parse({"-n", "2", "-n", "3", "q"}));
  EXPECT_EQ(asked.count, 3);
}

TEST(Flags, ValuesThatLookLikeFlagsAreTakenAsValues) {
  Asked asked;
  ASSERT_TRUE(asked.parse({"--model", "-strange", "q"}));
  EXPECT_EQ(asked.model, "-strange");
}

TEST(Flags, AfterTwoDashesEverythingIsAWord) {
  Asked asked;
  ASSERT_TRUE(asked.parse({"--", "--greedy"}));
  EXPECT_EQ(asked.question, "--greedy");
}

TEST(Flags, ABadNumberNamesTheFlagAndTheRange) {
  for (const char* bad : {"x", "3.5", "0", "11", "", "99999999999999999999", "5 "}) {
    Asked asked;
    const auto parsed = asked.parse({"--count", bad, "q"});
    ASSERT_FALSE(parsed) << bad;
    EXPECT_EQ(parsed.error().message, "'" + std::string(bad) + "' is no value for --count");
    EXPECT_EQ(parsed.error().remedy, "give a whole number from 1 to 10");
  }
  for (const char* bad : {"nan", "inf", "-0.5", "1e999"}) {
    Asked asked;
    EXPECT_FALSE(asked.parse({"--temperature", bad, "q"})) << bad;
  }
}

TEST(Flags, ALimitIsAllowedThoughAFloatCannotHoldIt) {
  float share = 0;
  Flags flags;
  flags.add("--share", &share, "P", "").between(0.01, 1);
  EXPECT_TRUE(parse("ask", flags, std::vector<std::string>{"--share", "0.01"}));
  EXPECT_FALSE(parse("ask", flags, std::vector<std::string>{"--share", "0.0099"}));
}

TEST(Flags, AValueOnASwitchIsRefused) {
  for (const char* word : {"--greedy=false", "--greedy=true", "--greedy="}) {
    Asked asked;
    const auto parsed = asked.parse({word, "q"});
    ASSERT_FALSE(parsed) << word;
    EXPECT_THAT(parsed.error().message, HasSubstr("--greedy takes no value"));
    EXPECT_FALSE(asked.greedy);
  }
  Asked word;
  ASSERT_TRUE(word.parse({"--", "--greedy=false"}));
  EXPECT_EQ(word.question, "--greedy=false");
}

TEST(Flags, AChoiceOutsideTheListNamesTheList) {
  Asked asked;
  const auto parsed = asked.parse({"--precision", "rough", "q"});
  ASSERT_FALSE(parsed);
  EXPECT_EQ(parsed.error().message, "'rough' is no value for --precision");
  EXPECT_EQ(parsed.error().remedy, "give one of exact, fast");
}

TEST(Flags, AMisspeltFlagIsAnsweredWithTheNearestOne) {
  Asked asked;
  const auto parsed = asked.parse({"--gredy", "q"});
  ASSERT_FALSE(parsed);
  EXPECT_THAT(parsed.error().text(), HasSubstr("did you mean --greedy?"));
}

TEST(Flags, AnOptionOfSeveralWordsGivesTheQuestionBack) {
  Asked asked;
  ASSERT_TRUE(asked.parse({"--docs", "a", "b", "why?", "--greedy"}));
  EXPECT_THAT(asked.docs, ElementsAre("a", "b"));
  EXPECT_EQ(asked.question, "why?");
  Asked without;
  EXPECT_FALSE(without.parse({"--docs", "a", "--docs", "b", "--greedy"}));
}

TEST(Flags, WhatIsMissingIsNamed) {
  Asked asked;
  const auto parsed = asked.parse({"--greedy"});
  ASSERT_FALSE(parsed);
  EXPECT_THAT(parsed.error().text(), HasSubstr("needs QUESTION"));
}

TEST(Flags, AWordTooManyIsRefused) {
  Asked asked;
  const auto parsed = asked.parse({"one", "two"});
  ASSERT_FALSE(parsed);
  EXPECT_THAT(parsed.error().text(), HasSubstr("'two' is one word too many"));
}

TEST(Flags, HelpIsGivenWhateverElseIsWrong) {
  Asked asked;
  const auto parsed = asked.parse({"--count", "x", "--help"});
  ASSERT_TRUE(parsed);
  EXPECT_TRUE(parsed->wants_help);
}

TEST(Nearest, FindsATypingSlipAndNothingFar) {
  const std::vector<std::string> verbs = {"ask", "add", "library", "tokenize"};
  EXPECT_EQ(nearest("tokenise", verbs), "tokenize");
  EXPECT_EQ(nearest("libary", verbs), "library");
  EXPECT_EQ(nearest("lib", verbs), "library");
  EXPECT_EQ(nearest("photograph", verbs), std::nullopt);
}

}  // namespace
}  // namespace phial::cli
