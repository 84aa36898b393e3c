#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "phial/documents/readers/recognised.h"

namespace phial::documents {
namespace {

// One line of type of 20 pixels: tall letters reach 15 above the baseline, low ones 10, and tails 4 below it.
void add_line(OcrPage& page, int line, int baseline, const std::vector<std::string>& words) {
  int left = 50;
  for (const std::string& text : words) {
    const bool tall = text.find_first_of("bdfhklitT") != std::string::npos;
    const bool deep = text.find_first_of("gpy") != std::string::npos;
    OcrWord word{.text = text};
    word.left = left;
    word.right = left + 11 * static_cast<int>(text.size());
    word.top = baseline - (tall ? 15 : 10);
    word.bottom = baseline + (deep ? 4 : 0);
    word.confidence = 95;
    word.block = 1;
    word.paragraph = 1;
    word.line = line;
    left = word.right + 7;
    page.words.push_back(word);
  }
}

OcrPage page_of_two_lines() {
  OcrPage page;
  page.width = 900;
  page.height = 600;
  add_line(page, 1, 100, {"the", "harbour", "council", "met", "in", "the", "old"});
  add_line(page, 2, 136, {"rooms", "near", "some", "grey", "sea", "cove"});
  return page;
}

TEST(RecognisedPages, LinesOfOneTypeAreOneParagraphWhateverLettersTheyHave) {
  const auto paragraphs = lay_out(page_of_recognised(page_of_two_lines(), 1, 1));
  ASSERT_EQ(paragraphs.size(), 1U);
  EXPECT_EQ(paragraphs[0].lines.size(), 2U);
}

TEST(RecognisedPages, AWordWhoseBoxReachesIntoAnotherLineDoesNotMakeItsTypeLarger) {
  OcrPage page = page_of_two_lines();
  page.words[6].bottom += 20;
  EXPECT_EQ(lay_out(page_of_recognised(page, 1, 1)).size(), 1U);
}

TEST(RecognisedPages, LargerTypeIsAParagraphOfItsOwn) {
  OcrPage page = page_of_two_lines();
  for (OcrWord& word : page.words) {
    if (word.line == 1) word.top -= (word.bottom - word.top) * 2 / 5;
  }
  EXPECT_EQ(lay_out(page_of_recognised(page, 1, 1)).size(), 2U);
}

}  // namespace
}  // namespace phial::documents
