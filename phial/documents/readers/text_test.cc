#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "phial/documents/testing.h"

namespace phial::documents {
namespace {

using namespace std::string_literals;
using testing::ElementsAre;
using testing::HasSubstr;

TEST(Text, BlankLinesSeparateBlocksAndLinesStay) {
  const auto document = read_well("a.txt", "First line\nsecond line\n\n\n  indented\n    more\n\nlast");
  EXPECT_THAT(outline(document), ElementsAre("p:First line\nsecond line", "p:indented\n  more", "p:last"));
}

TEST(Text, LinesAloneThatAreNumberedUnderlinedOrCapitalAreHeadings) {
  const auto document = read_well(
      "a.txt", "INTRODUCTION\n\n1. Scope\n\n1.2 Terms\n\nTitle\n=====\n\nThis is not one.\n\n12 apples were eaten\n");
  EXPECT_THAT(outline(document), ElementsAre("h1:INTRODUCTION", "h1:1. Scope", "h2:1.2 Terms", "h1:Title",
                                             "p:This is not one.", "p:12 apples were eaten"));
}

TEST(Text, EveryKindOfLineEndSeparates) {
  EXPECT_THAT(outline(read_well("a.txt", "a\r\nb\r\n\r\nc\r\n")), ElementsAre("p:a\nb", "p:c"));
  EXPECT_THAT(outline(read_well("a.txt", "a\rb\r\rc\r")), ElementsAre("p:a\nb", "p:c"));
}

TEST(Text, EncodingsAreToldFromMarksAndBytes) {
  EXPECT_EQ(read_well("a.txt", "\xEF\xBB\xBFgr\xC3\xBC\xC3\x9F").text, "grüß");
  EXPECT_EQ(read_well("a.txt", "\xFF\xFEg\0r\0\xFC\0"s).text, "grü");
  EXPECT_EQ(read_well("a.txt", "\xFE\xFF\0g\0r\0\xFC"s).text, "grü");
  EXPECT_EQ(read_well("a.txt", "\xFF\xFE\0\0g\0\0\0\xFC\0\0\0"s).text, "gü");
  EXPECT_EQ(read_well("a.txt", "p\0l\0a\0i\0n\0 \0w\0i\0d\0e\0 \0t\0e\0x\0t\0"s).text, "plain wide text");
  EXPECT_EQ(
      read_well("a.txt", "\x82\xB1\x82\xEA\x82\xCD\x93\xFA\x96{\x8C\xEA\x82\xCC\x95\xB6\x8F\xCD\x82\xC5\x82\xB7").text,
      "これは日本語の文章です");
  EXPECT_EQ(read_well("a.txt", "\x1B$B$3$l\x1B(B").text, "これ");
  EXPECT_EQ(read_well("a.txt",
                      "Er sagte \x84gr\xFC\xDF Gott\x93 \x96 und ging \xFC"
                      "ber die Stra\xDF"
                      "e.")
                .text,
            "Er sagte „grüß Gott“ – und ging über die Straße.");
}

// Little-endian.
std::string wide(std::u16string_view text) {
  std::string bytes;
  for (const char16_t c : text) {
    bytes.push_back(static_cast<char>(c & 0xFF));
    bytes.push_back(static_cast<char>(c >> 8));
  }
  return bytes;
}

std::string swapped(std::string bytes) {
  for (size_t i = 0; i + 1 < bytes.size(); i += 2) std::swap(bytes[i], bytes[i + 1]);
  return bytes;
}

TEST(Text, Utf16WithoutAMarkIsToldInScriptsThatHaveNoZeroBytes) {
  const std::string russian = wide(u"Встреча состоялась в Москве.\nВторой абзац.");
  EXPECT_EQ(read_well("a.txt", russian).text, "Встреча состоялась в Москве.\nВторой абзац.");
  EXPECT_EQ(read_well("a.txt", swapped(russian)).text, "Встреча состоялась в Москве.\nВторой абзац.");
  const std::string japanese = wide(u"これは日本語の文章です。\n会議は三月十日に東京で開かれました。");
  EXPECT_THAT(read_well("a.txt", japanese).text, HasSubstr("会議は三月十日"));
  EXPECT_THAT(read_well("a.txt", swapped(japanese)).text, HasSubstr("会議は三月十日"));
}

TEST(Text, AFewZeroBytesAreDamageAndManyAnotherFormat) {
  std::string log;
  for (int i = 0; i < 40; ++i) log += "a line of the log, long enough\n";
  EXPECT_THAT(read_well("a.log", log + "cut\0 here\n"s + log).text, HasSubstr("cut here"));
  EXPECT_THAT(read_well("a.log", log + "end" + std::string(4096, '\0')).text, HasSubstr("\nend"));
  EXPECT_THAT(error_of("a.txt", "ab\0cd\0ef\0gh\0\1"s), HasSubstr("binary data"));
}

TEST(Text, AFileCutWithinACharacterKeepsItsEncoding) {
  EXPECT_EQ(read_well("a.txt", "Gr\u00FC\u00DFe aus K\u00F6ln\xC3").text, "Grüße aus Köln\uFFFD");
}

TEST(Text, ColoursOfATerminalAreNotText) {
  EXPECT_EQ(read_well("a.log", "\x1B[1;31mERROR\x1B[0m disk full [0m").text, "ERROR disk full [0m");
}

TEST(Text, AFormFeedBeginsABlock) {
  EXPECT_THAT(outline(read_well("a.txt", "one\ntwo\n\fthree\nfour\n")), ElementsAre("p:one\ntwo", "p:three\nfour"));
}

TEST(Text, OneDamagedByteDoesNotChangeTheEncoding) {
  std::string text;
  for (int i = 0; i < 100; ++i) text += "grüße ";
  const auto document = read_well("a.txt", text + "\xFF" + text);
  EXPECT_THAT(document.text, HasSubstr("grüße \uFFFDgrüße"));
}

TEST(Text, BinaryDataIsRefused) {
  std::string bytes;
  for (int i = 0; i < 4096; ++i) bytes.push_back(static_cast<char>(i * 37));
  EXPECT_THAT(error_of("a.txt", bytes), HasSubstr("binary data"));
  EXPECT_THAT(error_of("a",
                       "\x7F"
                       "ELF\2\1\1"),
              HasSubstr("a program"));
  EXPECT_THAT(error_of("a.doc", "\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1xxxxx"), HasSubstr("save it as .docx"));
  EXPECT_THAT(error_of("a.txt", ""), HasSubstr("empty"));
}

TEST(Text, TheLimitOnTextIsKeptAndReported) {
  const ReadOptions options{.max_text_bytes = 1000};
  const auto document = read_well("a.txt", std::string(5000, 'x') + "\n\nmore", options);
  EXPECT_LE(document.text.size(), 1000U);
  EXPECT_THAT(document.warnings, ElementsAre(HasSubstr("only the first")));
}

TEST(Text, AnUnknownFormatIsRefusedByName) {
  EXPECT_THAT(error_of("a.txt", "x", {.format = "wpd"}), HasSubstr("there is no format 'wpd'"));
}

}  // namespace
}  // namespace phial::documents
