#include "phial/documents/readers/page_direction.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace phial::documents {
namespace {

// Letters of a font in which no two neighbours have one width; `even`: of a word whose places were spread.
std::vector<Letter> letters(std::u16string_view text, bool even = false) {
  std::vector<Letter> result;
  for (size_t i = 0; i < text.size(); ++i) result.push_back({text[i], even ? 3.0F : 3.0F + static_cast<float>(i)});
  return result;
}

std::u16string restored(std::u16string_view text, bool even = false) {
  LetterOrder order;
  order.learn(letters(text, even), 12);
  return order.restore(letters(text, even), 12);
}

TEST(PageDirection, LettersThatStandFromLeftToRightAreTurnedAroundAndNumbersWithinKept) {
  EXPECT_EQ(restored(u"השיגפה"), u"הפגישה");
  EXPECT_EQ(restored(u".)ערפה("), u"(הפרע).");
  EXPECT_EQ(restored(u"2024-ב"), u"ב-2024");
  EXPECT_EQ(restored(u"plain 12"), u"plain 12");
}

TEST(PageDirection, AWordSpreadEvenlyIsInOrderUnlessItsFontIsSo) {
  EXPECT_EQ(restored(u"הפגישה", true), u"הפגישה");
  LetterOrder order;
  for (const auto* word : {u"אבג", u"דהו", u"זחט"}) order.learn(letters(word, true), 12);
  EXPECT_EQ(order.restore(letters(u"אבג", true), 12), u"גבא");
}

TEST(PageDirection, LamAndAlefDrawnAsOneStayInOrder) {
  std::vector<Letter> word = letters(u"جلاا");
  word[1].advance = word[2].advance = 3.4F;
  EXPECT_EQ(LetterOrder().restore(word, 12), u"الاج");
}

std::string ordered(const std::vector<std::string>& texts) {
  std::vector<PageWord> line;
  for (const std::string& text : texts) line.push_back({.text = text});
  order_words(line);
  std::string joined;
  for (const PageWord& word : line) joined.append(joined.empty() ? "" : " ").append(word.text);
  return joined;
}

TEST(PageDirection, WordsOfALineAreReadFromTheSideOfItsScript) {
  EXPECT_EQ(ordered({"ACME", "Ltd", "חברת", "2024", "במרץ"}), "במרץ 2024 חברת ACME Ltd");
  EXPECT_EQ(ordered({"the", "word", "עולם", "שלום", "means", "hello"}), "the word שלום עולם means hello");
  EXPECT_EQ(ordered({"no", "change", "12"}), "no change 12");
}

TEST(PageDirection, SpacesMoveWithTheWords) {
  std::vector<PageWord> line = {{.text = "."}, {.text = "שתיים"}, {.text = "אחת"}};
  line[0].space_after = false;
  order_words(line);
  EXPECT_EQ(line[0].text, "אחת");
  EXPECT_TRUE(line[0].space_after);
  EXPECT_FALSE(line[1].space_after);
}

}  // namespace
}  // namespace phial::documents
