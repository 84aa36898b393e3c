#include "phial/cli/help.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "phial/cli/input.h"

namespace phial::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

struct Pour : Command {
  int glasses = 2;
  float fill = 0.95F;
  double drop = 1e-5;
  std::string drink;
  std::string size = "small";
  void describe(Flags& flags) override {
    flags.add("-g,--glasses", &glasses, "N", "how many glasses").at_least(1);
    flags.add("--fill", &fill, "SHARE", "how full");
    flags.add("--drop", &drop, "LITRES", "how exact");
    flags.add("--size", &size, "SIZE", "how large").one_of({"small", "large"});
    flags.argument("DRINK", &drink, "what it's to be").must();
  }
  Status run(Console&) override { return ok(); }
};

constexpr Verb kInner[] = {{"water", "pours water", "", "phial pour water", make_command<Pour>}};
constexpr Verb kTable[] = {{"pour", "pours a drink", "With care.", "phial pour tea", make_command<Pour>},
                           {"bar", "all drinks", "", "phial bar water", nullptr, kInner}};

TEST(Help, TellsEveryFlagWithItsDefaultAndAnExample) {
  const std::string text = help_text("pour", kTable[0]);
  EXPECT_THAT(text, HasSubstr("Usage: phial pour [FLAGS] DRINK"));
  EXPECT_THAT(text, HasSubstr("-g, --glasses N"));
  EXPECT_THAT(text, HasSubstr("how many glasses [2]"));
  EXPECT_THAT(text, HasSubstr("how full [0.95]"));
  EXPECT_THAT(text, HasSubstr("how exact [0.00001]"));
  EXPECT_THAT(text, HasSubstr("how large (small, large) [small]"));
  EXPECT_THAT(text, HasSubstr("--verbose"));
  EXPECT_THAT(text, HasSubstr("Example:\n  phial pour tea"));
}

TEST(Help, TheOverviewListsEveryVerb) {
  const std::string text = overview("", nullptr, kTable);
  EXPECT_THAT(text, HasSubstr("pour"));
  EXPECT_THAT(text, HasSubstr("all drinks"));
}

TEST(ManPage, IsRoffWithEveryFlag) {
  const std::string page = verb_man_page("pour", kTable[0], "1.0");
  EXPECT_THAT(page, HasSubstr(".TH PHIAL\\-POUR 1"));
  EXPECT_THAT(page, HasSubstr("\\-\\-glasses N"));
  EXPECT_THAT(program_man_page(kTable, "1.0"), HasSubstr("phial\\-bar\\-water(1)"));
}

TEST(Completions, OfferVerbsFlagsAndChoicesForEveryShell) {
  for (const char* shell : {"bash", "zsh", "fish"}) {
    const auto script = completion_script(kTable, shell);
    ASSERT_TRUE(script);
    EXPECT_THAT(*script, HasSubstr("pour"));
    EXPECT_THAT(*script, HasSubstr("glasses"));
    EXPECT_THAT(*script, HasSubstr("small large"));
  }
  EXPECT_FALSE(completion_script(kTable, "tcsh"));
}

TEST(OneLine, LeavesNothingThatDrawsOnATerminal) {
  EXPECT_EQ(one_line("a\nb\x1b[2Jc\x07"), "a b [2Jc");
  EXPECT_EQ(one_line("caf\xc3\xa9 \xff"), "caf\xc3\xa9 \xef\xbf\xbd");
  EXPECT_EQ(one_line("x\xe2\x80\xaey"), "x y");  // right-to-left override
}

TEST(Ids, AreReadWithCommasSpacesAndBrackets) {
  EXPECT_THAT(*parse_ids("1,2,3", "--ids"), ElementsAre(1, 2, 3));
  EXPECT_THAT(*parse_ids(" [4, 5]\n6 ", "--ids"), ElementsAre(4, 5, 6));
}

TEST(Ids, ThatAreNoneAreRefusedByName) {
  for (const char* bad : {"", ",", "x", "1,-2", "3.5", "99999999999", "1;2"})
    EXPECT_FALSE(parse_ids(bad, "--ids")) << bad;
  EXPECT_THAT(parse_ids("1,x", "--ids").error().text(), HasSubstr("'x' is no token id (--ids)"));
}

TEST(Lines, KeepEmptyOnesAndLoseTheirEnds) {
  EXPECT_THAT(split_lines("a\r\n\nb"), ElementsAre("a", "", "b"));
  EXPECT_THAT(split_lines("a\n"), ElementsAre("a"));
  EXPECT_THAT(split_lines(""), ElementsAre());
}

}  // namespace
}  // namespace phial::cli
