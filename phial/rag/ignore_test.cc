#include "phial/rag/ignore.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace phial::rag {
namespace {

TEST(Ignore, PatternsFollowGitignore) {
  const auto judge = [](std::string_view rules, std::string_view path, bool is_folder = false) {
    return IgnoreRules(rules).judge(path, is_folder);
  };
  EXPECT_EQ(judge("*.log", "a/b/c.log"), Verdict::kIgnored);
  EXPECT_EQ(judge("/*.log", "a/c.log"), Verdict::kNoRule);
  EXPECT_EQ(judge("build/", "x/build", true), Verdict::kIgnored);
  EXPECT_EQ(judge("build/", "x/build", false), Verdict::kNoRule);
  EXPECT_EQ(judge("*.txt\n!keep.txt", "keep.txt"), Verdict::kKept);
  EXPECT_EQ(judge("doc/*.txt", "doc/a.txt"), Verdict::kIgnored);
  EXPECT_EQ(judge("doc/*.txt", "x/doc/a.txt"), Verdict::kNoRule);
  EXPECT_EQ(judge("doc/**/a.txt", "doc/a.txt"), Verdict::kIgnored);
  EXPECT_EQ(judge("doc/**/a.txt", "doc/x/y/a.txt"), Verdict::kIgnored);
  EXPECT_EQ(judge("**/foo", "a/b/foo"), Verdict::kIgnored);
  EXPECT_EQ(judge("abc/**", "abc/x/y"), Verdict::kIgnored);
  EXPECT_EQ(judge("abc/**", "abc", true), Verdict::kNoRule);
  EXPECT_EQ(judge("a[0-9].t?t", "a7.txt"), Verdict::kIgnored);
  EXPECT_EQ(judge("a[!0-9].txt", "a7.txt"), Verdict::kNoRule);
  EXPECT_EQ(judge("# comment\n\\#file\ntrail   ", "#file"), Verdict::kIgnored);
  EXPECT_EQ(judge("trail   ", "trail"), Verdict::kIgnored);
  EXPECT_EQ(judge("a[", "a["), Verdict::kNoRule);  // as Git: a class that is not closed fits nothing
  // No pattern is slow.
  std::string hard;
  for (int i = 0; i < 60; ++i) hard += "*a";
  EXPECT_FALSE(glob_matches(hard + "b", std::string(2000, 'a')));
}

TEST(Ignore, OddPatternsAreJudgedAsGitDoes) {
  const auto judge = [](std::string_view rules, std::string_view path) {
    return IgnoreRules(rules).judge(path, false);
  };
  EXPECT_EQ(judge("\xEF\xBB\xBF*.log\n", "a.log"), Verdict::kIgnored);
  EXPECT_EQ(judge("[[:digit:]x]1\n", "71"), Verdict::kIgnored);
  EXPECT_EQ(judge("[![:alpha:]]1\n", "a1"), Verdict::kNoRule);
  EXPECT_EQ(judge("***/b\n", "x/y/b"), Verdict::kIgnored);
  EXPECT_EQ(judge("/a/***\n", "a/b/c"), Verdict::kIgnored);
  EXPECT_EQ(judge("a**\n", "abc"), Verdict::kIgnored);
  EXPECT_EQ(judge("[a\n", "[a"), Verdict::kNoRule);    // not closed
  EXPECT_EQ(judge("a\\\n", "a\\"), Verdict::kNoRule);  // escapes nothing
  EXPECT_EQ(judge("\\[a\n", "[a"), Verdict::kIgnored);
  EXPECT_EQ(judge("*\n!keep\n", "keep"), Verdict::kKept);
}

}  // namespace
}  // namespace phial::rag
