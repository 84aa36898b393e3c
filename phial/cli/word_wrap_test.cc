#include "phial/cli/word_wrap.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <initializer_list>
#include <vector>

#include "phial/base/utf8.h"

namespace phial::cli {
namespace {

using testing::ElementsAre;

std::string wrapped(std::string_view text, int columns) {
  WordWrap wrap(columns);
  std::string out = wrap.add(text);
  return out + wrap.finish();
}

TEST(WordWrap, LinesBreakBetweenWords) {
  EXPECT_EQ(wrapped("the quick brown fox jumps", 10), "the quick\nbrown fox\njumps");
  EXPECT_EQ(wrapped("12345 7890 x", 10), "12345 7890\nx");
}

TEST(WordWrap, ItsOwnLinesAndSpacesInsideThemStay) {
  EXPECT_EQ(wrapped("one\n\ntwo  three\n", 10), "one\n\ntwo  three\n");
}

TEST(WordWrap, WithoutATerminalNothingChanges) {
  const std::string text = "a line that is longer than any word  \n\twith all its spaces ";
  EXPECT_EQ(wrapped(text, 0), text);
}

TEST(WordWrap, PiecesMakeNoDifference) {
  const std::string text =
      "# Title\n\n- an item of some words\n  that goes on\n\n```\ncode that is long\n```\n"
      "\xe6\xbc\xa2\xe5\xad\x97\xe3\x81\xa8\xe8\xaa\x9e\xe3\x80\x82 and anextremelylongwordindeed \xf0\x9f\x98\x80\n";
  for (const int columns : {1, 2, 7, 12, 40}) {
    WordWrap wrap(columns);
    std::string out;
    for (size_t at = 0; at < text.size();) {
      const auto length = static_cast<size_t>(decode_utf8(text, at).length);
      out += wrap.add(std::string_view(text).substr(at, length));
      at += length;
    }
    EXPECT_EQ(out + wrap.finish(), wrapped(text, columns)) << columns;
  }
}

// What is shown after each piece, and at the end.
std::vector<std::string> shown(std::initializer_list<std::string_view> pieces, int columns) {
  WordWrap wrap(columns);
  std::vector<std::string> out;
  for (const std::string_view piece : pieces) out.push_back(wrap.add(piece));
  out.push_back(wrap.finish());
  return out;
}

TEST(WordWrap, AWordIsShownAsSoonAsItIsWhole) {
  EXPECT_THAT(shown({"The", " quick", "est\n", "end"}, 20), ElementsAre("", "The", " quickest\n", "", "end"));
}

TEST(WordWrap, AWordWiderThanTheLineIsShownAsItComes) {
  EXPECT_THAT(shown({"12345", "6", "7", "8"}, 5), ElementsAre("", "12345", "6", "7", "8"));
}

TEST(WordWrap, LinesMayEndInCarriageReturns) {
  EXPECT_EQ(wrapped("the quick\r\nfox\r\n\r\n    a line of code\r\n", 9), "the quick\nfox\n\n    a line of code\r\n");
}

// So that it can be copied: the terminal joins the lines that it cut itself.
TEST(WordWrap, AWordWiderThanTheLineIsLeftToTheTerminal) {
  EXPECT_EQ(wrapped("see https://example.org/a/b ok", 10), "see\nhttps://example.org/a/b ok");
  EXPECT_EQ(wrapped("https://example.org/a/b four-five", 10), "https://example.org/a/b\nfour-five");
}

TEST(WordWrap, WideCharactersCountTwoAndMayBreakBetween) {
  EXPECT_EQ(wrapped("\xe6\xbc\xa2\xe5\xad\x97\xe6\xbc\xa2\xe5\xad\x97", 5),
            "\xe6\xbc\xa2\xe5\xad\x97\n\xe6\xbc\xa2\xe5\xad\x97");
  // Not before a full stop, nor after an opening bracket.
  EXPECT_EQ(wrapped("\xe6\xbc\xa2\xe5\xad\x97\xe3\x80\x82", 4), "\xe6\xbc\xa2\n\xe5\xad\x97\xe3\x80\x82");
  EXPECT_EQ(wrapped("\xe6\xbc\xa2\xe3\x80\x8c\xe5\xad\x97", 4), "\xe6\xbc\xa2\n\xe3\x80\x8c\xe5\xad\x97");
}

TEST(WordWrap, CombiningMarksTakeNoRoom) {
  EXPECT_EQ(wrapped("e\xcc\x81"
                    "e\xcc\x81"
                    "e\xcc\x81 e\xcc\x81",
                    5),
            "e\xcc\x81"
            "e\xcc\x81"
            "e\xcc\x81 e\xcc\x81");
}

TEST(WordWrap, LinesBreakBetweenEmojisAndNotWithinThem) {
  const std::string family = "\U0001F468\u200D\U0001F469\u200D\U0001F467", thumb = "\U0001F44D\U0001F3FD",
                    flag = "\U0001F1E9\U0001F1EA", heart = "\u2764\uFE0F";
  EXPECT_EQ(wrapped(family + family, 6), family + "\n" + family);
  EXPECT_EQ(wrapped(thumb + thumb, 4), thumb + "\n" + thumb);
  EXPECT_EQ(wrapped("a " + family, 3), "a\n" + family);
  EXPECT_EQ(wrapped("a " + flag + flag, 6), "a " + flag + flag);
  // Two columns each, as terminals show signs that are told to be emojis.
  EXPECT_EQ(wrapped("abc " + heart, 5), "abc\n" + heart);
}

TEST(WordWrap, ItemsOfListsHang) {
  EXPECT_EQ(wrapped("- the quick brown\n- fox", 10), "- the\n  quick\n  brown\n- fox");
  EXPECT_EQ(wrapped("12. the quick brown", 12), "12. the\n    quick\n    brown");
  EXPECT_EQ(wrapped("  * the quick", 12), "  * the\n    quick");
}

TEST(WordWrap, CodeAndTablesStayAsTheyAre) {
  for (const char* text : {"```cpp\nint main() { return 0; }\n\n```\n", "~~~\na line of code\n~~~\n",
                           "text\n\n    a line of code  \n    and another one\n", "\ta line of code\n",
                           "| a cell | another |\n", "- item\n\n      code in this item\n"}) {
    EXPECT_EQ(wrapped(text, 10), text);
  }
  EXPECT_EQ(wrapped("```\na b c\n```\nlines flow again", 10), "```\na b c\n```\nlines flow\nagain");
  EXPECT_EQ(wrapped("```\n```cpp a b c\n```\nlines flow again", 10), "```\n```cpp a b c\n```\nlines flow\nagain");
  EXPECT_EQ(wrapped("```ab``` is no fence", 10), "```ab```\nis no\nfence");
}

TEST(WordWrap, AnIndentedLineAfterTextIsTextAndKeepsItsIndent) {
  EXPECT_EQ(wrapped("[1] a.txt\n    the quick brown\n", 13), "[1] a.txt\n    the quick\n    brown\n");
}

}  // namespace
}  // namespace phial::cli
