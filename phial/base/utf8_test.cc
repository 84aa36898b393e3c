#include "phial/base/utf8.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "phial/base/random.h"

namespace phial {
namespace {

TEST(Utf8, EveryCodePointSurvives) {
  for (char32_t c = 0; c < 0x110000; ++c) {
    if (c >= 0xD800 && c < 0xE000) continue;
    std::string text;
    append_utf8(text, c);
    const DecodedChar decoded = decode_utf8(text, 0);
    ASSERT_TRUE(decoded.valid && decoded.code_point == c && decoded.length == static_cast<int>(text.size()))
        << static_cast<uint32_t>(c);
  }
}

TEST(Utf8, OverlongFormsSurrogatesAndWhatLiesBeyondUnicodeAreMalformed) {
  for (const char* text :
       {"\xC0\x80", "\xC1\xBF", "\xE0\x9F\xBF", "\xF0\x8F\xBF\xBF", "\xED\xA0\x80", "\xED\xBF\xBF", "\xF4\x90\x80\x80",
        "\xF5\x80\x80\x80", "\x80", "\xBF", "\xFE", "\xFF", "\xC3", "\xE2\x82"}) {
    EXPECT_FALSE(is_valid_utf8(text));
  }
  EXPECT_TRUE(is_valid_utf8(""));
  EXPECT_TRUE(is_valid_utf8(std::string_view("\0", 1)));
  EXPECT_TRUE(is_valid_utf8("a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80"));
}

// The examples of the Unicode standard, tables 3-8 to 3-11.
TEST(Utf8, EachMaximalMalformedPartBecomesOneReplacement) {
  const std::string r = "\xEF\xBF\xBD";
  EXPECT_EQ(repair_utf8("\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41"), r + r + r + r + r + r + r + r + "A");
  EXPECT_EQ(repair_utf8("\xED\xA0\x80\xED\xBF\xBF\xED\xAF\x41"), r + r + r + r + r + r + r + r + "A");
  EXPECT_EQ(repair_utf8("\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42"), r + r + r + r + r + "A" + r + r + "B");
  EXPECT_EQ(repair_utf8("\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41"), r + r + r + r + "A");
}

TEST(Utf8, APrefixEndsBeforeACharacterThatMayStillGrow) {
  EXPECT_EQ(whole_utf8_prefix(""), 0U);
  EXPECT_EQ(whole_utf8_prefix("abc"), 3U);
  EXPECT_EQ(whole_utf8_prefix("a\xC3"), 1U);
  EXPECT_EQ(whole_utf8_prefix("a\xC3\xA9"), 3U);
  EXPECT_EQ(whole_utf8_prefix("a\xE2\x82"), 1U);
  EXPECT_EQ(whole_utf8_prefix("\xF0\x9F\x98"), 0U);
  EXPECT_EQ(whole_utf8_prefix("x\xF0"), 1U);
}

TEST(Utf8, BytesThatCanNoLongerBecomeACharacterCountAsWhole) {
  EXPECT_EQ(whole_utf8_prefix("\xE2\x41"), 2U);
  EXPECT_EQ(whole_utf8_prefix("a\xFF"), 2U);
  EXPECT_EQ(whole_utf8_prefix("a\x80\x80"), 3U);
  EXPECT_EQ(whole_utf8_prefix("\xED\xA0"), 2U);  // a surrogate never becomes one
  EXPECT_EQ(whole_utf8_prefix("\xE2\x82\xC3"), 2U);
}

TEST(Utf8, StreamingAnyTextInPiecesShowsItAllAndOnlyWholeCharacters) {
  Random random(11);
  for (int round = 0; round < 200; ++round) {
    std::string text;
    for (int i = 0; i < 20; ++i) {
      const char32_t limits[] = {0x80, 0x800, 0x10000, 0x110000};
      auto c = static_cast<char32_t>(random.below(limits[random.below(4)]));
      append_utf8(text, c >= 0xD800 && c < 0xE000 ? U'x' : c);
    }
    std::string pending, shown;
    for (const char byte : text) {
      pending += byte;
      const size_t whole = whole_utf8_prefix(pending);
      EXPECT_TRUE(is_valid_utf8(pending.substr(0, whole)));
      shown += pending.substr(0, whole);
      pending.erase(0, whole);
    }
    EXPECT_EQ(shown, text);
  }
}

TEST(Utf8, TheFloorIsTheBorderAtOrBefore) {
  const std::string text = "a\xC3\xA9\xF0\x9F\x98\x80z";
  const std::vector<size_t> wanted = {0, 1, 1, 3, 3, 3, 3, 7, 8, 8};
  for (size_t at = 0; at < wanted.size(); ++at) EXPECT_EQ(utf8_floor(text, at), wanted[at]) << at;
  EXPECT_EQ(utf8_floor("", 5), 0U);
  EXPECT_EQ(utf8_floor("\x80\x80\x80\x80\x80", 4), 4U);
}

TEST(Utf8, WhatIsPrintableStandsOnOneLineAndEndsInTime) {
  EXPECT_EQ(printable("plain caf\xC3\xA9"), "plain caf\xC3\xA9");
  EXPECT_EQ(printable("a\nb\x1B\x7F"), "a\\x0ab\\x1b\\x7f");
  EXPECT_EQ(printable("\xC2\x85"), "\\xc2\\x85");
  EXPECT_EQ(printable("\xE2\x80\xAE"), "\\xe2\\x80\\xae");  // turns the reading direction
  EXPECT_EQ(printable("a\xFFz"), "a\xEF\xBF\xBDz");
  EXPECT_EQ(printable("abc\xC3\xA9", 4), "abc\xE2\x80\xA6");
  EXPECT_EQ(printable("abcd", 4), "abcd");
}

}  // namespace
}  // namespace phial
