#include "phial/documents/readers/page_layout.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "phial/documents/testing.h"

namespace phial::documents {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

// Sets words like a typewriter: 5 points a character, 10 a line.
class Page {
 public:
  explicit Page(int number = 1) { page_.number = number, page_.width = 600, page_.height = 800; }

  Page& line(float left, float top, const std::string& text, float size = 10, bool bold = false) {
    float x = left;
    for (size_t at = 0; at < text.size();) {
      const size_t end = std::min(text.find(' ', at), text.size());
      PageWord word{.text = text.substr(at, end - at)};
      word.left = x;
      word.right = x + 0.5F * size * static_cast<float>(end - at);
      word.top = top;
      word.bottom = top + size * 0.9F;
      word.size = size;
      word.bold = bold;
      x = word.right + 0.3F * size;
      if (end > at) page_.words.push_back(word);
      at = end + 1;
    }
    return *this;
  }
  operator PageOfWords() const { return page_; }  // NOLINT(google-explicit-constructor)

 private:
  PageOfWords page_;
};

ExtractedDocument written(std::vector<PageOfWords> pages, const std::vector<OutlineEntry>& contents = {}) {
  remove_running_lines(pages);
  std::vector<PageParagraph> paragraphs;
  for (auto& page : pages) {
    for (auto& paragraph : lay_out(std::move(page))) paragraphs.push_back(std::move(paragraph));
  }
  find_headings(paragraphs, contents);
  DocumentBuilder builder("pdf", 1 << 20);
  write_paragraphs(paragraphs, builder);
  auto document = std::move(builder).finish();
  EXPECT_TRUE(document);
  return document ? *std::move(document) : ExtractedDocument{};
}

TEST(PageLayout, TwoColumnsAreReadOneAfterTheOtherBelowTheirTitle) {
  Page page;
  page.line(150, 40, "A title that spans both of the columns", 16);
  for (int i = 0; i < 8; ++i) {
    const auto y = static_cast<float>(80 + 12 * i);
    page.line(50, y, "left text number " + std::to_string(i) + " goes on for so long.");
    page.line(320, y + 3, "right text number " + std::to_string(i) + " goes on for long.");
  }
  const auto document = written({page});
  EXPECT_THAT(outline(document), Contains("h1:A title that spans both of the columns"));
  EXPECT_LT(document.text.find("left text number 7"), document.text.find("right text number 0"));
}

TEST(PageLayout, ThreeNarrowJustifiedColumnsAreNoTable) {
  Page page;
  const std::vector<std::string> words = {"price", "our", "general", "licences", "of", "practice", "are", "the"};
  for (int row = 0; row < 12; ++row) {
    for (int column = 0; column < 3; ++column) {
      // Four words of different lengths, spread over 150 points: the gaps stand elsewhere in each row.
      float x = 40.0F + 180.0F * static_cast<float>(column);
      const float right = x + 150;
      std::vector<std::string> chosen;
      float letters = 0;
      for (int i = 0; i < 4; ++i) {
        chosen.push_back(words[static_cast<size_t>(row * 3 + column * 5 + i * (row % 3 + 1)) % words.size()]);
        letters += 5.0F * static_cast<float>(chosen.back().size());
      }
      const float gap = (right - x - letters) / 3;
      for (const std::string& word : chosen) {
        page.line(x, 100.0F + 12.0F * static_cast<float>(row), word);
        x += 5.0F * static_cast<float>(word.size()) + gap;
      }
    }
  }
  for (const PageParagraph& paragraph : lay_out(page)) EXPECT_NE(paragraph.kind, BlockKind::kTable);
}

// Lines of words of any lengths, as many as there is room for, spread over `width` points from `left` on.
void add_justified(Page& page, float left, float width, int lines, uint32_t seed, uint32_t longest_word = 10) {
  std::string next;
  for (int line = 0; line < lines; ++line) {
    std::vector<std::string> words;
    float letters = 0;
    for (;;) {
      if (next.empty()) {
        seed = seed * 1664525 + 1013904223;
        next.assign(1 + (seed >> 16) % longest_word, 'n');
      }
      const float more = 5.0F * static_cast<float>(next.size());
      if (letters + more + 3 * static_cast<float>(words.size()) > width) break;
      letters += more;
      words.push_back(std::exchange(next, {}));
    }
    const float gap = (width - letters) / (static_cast<float>(words.size()) - 1);
    float x = left;
    for (const std::string& word : words) {
      page.line(x, 100.0F + 12.0F * static_cast<float>(line), word);
      x += 5.0F * static_cast<float>(word.size()) + gap;
    }
  }
}

TEST(PageLayout, NarrowJustifiedColumnsAreReadWhole) {
  for (uint32_t seed = 1; seed <= 20; ++seed) {
    for (const int columns : {1, 2, 3}) {
      Page page;
      constexpr float width = 160;
      for (int i = 0; i < columns; ++i) {
        add_justified(page, 30 + 180 * static_cast<float>(i), width, 30, seed * 10 + static_cast<uint32_t>(i));
      }
      const auto paragraphs = lay_out(page);
      EXPECT_EQ(paragraphs.size(), static_cast<size_t>(columns)) << seed;
      for (const PageParagraph& paragraph : paragraphs) EXPECT_NE(paragraph.kind, BlockKind::kTable) << seed;
    }
  }
}

TEST(PageLayout, ColumnsOfThreeWordsALineAreNoTable) {
  for (uint32_t seed = 1; seed <= 20; ++seed) {
    for (const int columns : {2, 3, 4}) {
      Page page;
      for (int i = 0; i < columns; ++i) {
        add_justified(page, 30 + 100 * static_cast<float>(i), 85, 30, seed * 10 + static_cast<uint32_t>(i), 8);
      }
      const auto paragraphs = lay_out(page);
      EXPECT_EQ(paragraphs.size(), static_cast<size_t>(columns)) << seed;
      for (const PageParagraph& paragraph : paragraphs) EXPECT_NE(paragraph.kind, BlockKind::kTable) << seed;
    }
  }
}

TEST(PageLayout, CellsOfTwoWordsAndOneWidthAreRowsOfATable) {
  Page page;
  for (int row = 0; row < 6; ++row) {
    const auto y = 80.0F + 12.0F * static_cast<float>(row);
    page.line(50, y, std::to_string(10 + row) + " kg").line(150, y, std::to_string(310 + row) + " days");
  }
  const auto paragraphs = lay_out(page);
  ASSERT_EQ(paragraphs.size(), 1U);
  EXPECT_EQ(paragraphs[0].kind, BlockKind::kTable);
}

TEST(PageLayout, EvenlySpacedNumbersInLineAreRowsOfATable) {
  Page page;
  for (int row = 0; row < 4; ++row) {
    for (int column = 0; column < 4; ++column) {
      page.line(50.0F + 40.0F * static_cast<float>(column), 80.0F + 12.0F * static_cast<float>(row),
                std::to_string(10 + 17 * row + column));
    }
  }
  EXPECT_THAT(outline(written({page})),
              ElementsAre("table:10 | 11 | 12 | 13\n27 | 28 | 29 | 30\n44 | 45 | 46 | 47\n61 | 62 | 63 | 64"));
}

TEST(PageLayout, ShortCellsInLineAreRowsOfATable) {
  Page page;
  page.line(50, 40, "This paragraph above the table runs over the whole width of the page, as text does.");
  page.line(50, 80, "Name").line(200, 80, "Age").line(300, 80, "City");
  page.line(50, 95, "Ada").line(200, 95, "36").line(300, 95, "London");
  page.line(50, 110, "Bob").line(200, 110, "41").line(300, 110, "New York");
  EXPECT_THAT(outline(written({page})), Contains("table:Name | Age | City\nAda | 36 | London\nBob | 41 | New York"));
}

TEST(PageLayout, HyphensOfLineEndsGoUnlessTheCompoundIsWrittenSoElsewhere) {
  Page page;
  page.line(50, 40, "This is an exam-").line(50, 52, "ple of a well-").line(50, 64, "known and well-known thing end.");
  EXPECT_EQ(written({page}).text, "This is an example of a well-known and well-known thing end.");
}

TEST(PageLayout, AParagraphRunsOnToTheNextColumnAndTheNextPage) {
  Page first, second(2);
  for (int i = 0; i < 8; ++i) {
    const auto y = static_cast<float>(80 + 12 * i);
    first.line(50, y, "left text goes on and on for so long, and the wond-");
    first.line(320, y, "rous right text is as long as that and ends, with");
  }
  second.line(50, 80, "half of a sentence on the next page. What follows it");
  second.line(50, 92, "stands below.");
  second.line(50, 120, "Another paragraph.");
  const auto document = written({first, second});
  ASSERT_EQ(document.blocks.size(), 2U);
  EXPECT_THAT(document.text, HasSubstr("and the wondrous right text"));
  EXPECT_THAT(document.text, HasSubstr("ends, with half of a sentence on the next page."));
  const auto half = std::ranges::find(document.words, document.text.find("half"), &WordBox::start);
  ASSERT_NE(half, document.words.end());
  EXPECT_EQ(half->page, 2);
}

TEST(PageLayout, ParagraphsEndAtGapsAndListsAtTheirMarks) {
  Page page;
  page.line(50, 40, "First line of the paragraph which is long").line(50, 52, "and its second line that is as long.");
  page.line(50, 80, "Another paragraph stands below a gap here.");
  page.line(50, 92, "1. an item").line(50, 104, "2. another item");
  EXPECT_THAT(outline(written({page})),
              ElementsAre("p:First line of the paragraph which is long and its second line that is as long.",
                          "p:Another paragraph stands below a gap here.", "li:1. an item", "li:2. another item"));
}

TEST(PageLayout, RunningTitlesAndPageNumbersGo) {
  std::vector<PageOfWords> pages;
  for (int i = 1; i <= 6; ++i) {
    Page page(i);
    page.line(50, 20, "The running title");
    page.line(50, 100, "Text of its own on page " + std::string(static_cast<size_t>(i), 'x') + " and more of it.");
    page.line(300, 780, std::to_string(i));
    pages.push_back(page);
  }
  const auto document = written(pages);
  EXPECT_EQ(document.blocks.size(), 7U);  // the first page keeps the title: it may be a letterhead
  EXPECT_EQ(document.text.find("The running title"), document.text.rfind("The running title"));
}

TEST(PageLayout, TheOutlineNamesHeadingsAndTheirLevels) {
  Page page;
  page.line(50, 40, "2.1 Methods");
  page.line(50, 70, "Some text follows the heading and is set in the same size.");
  EXPECT_THAT(outline(written({page}, {{"Methods", 2}})), Contains("h2:2.1 Methods"));
}

TEST(PageLayout, BoldLinesAloneAreHeadingsAndTotalsAreNot) {
  Page page;
  page.line(50, 40, "Results of the study", 10, true);
  page.line(50, 70, "Some text follows the heading and is set in the same size.");
  page.line(50, 100, "TOTAL $1,234.56 x 1,000.00", 10, true);
  EXPECT_THAT(outline(written({page})),
              ElementsAre("h1:Results of the study", testing::StartsWith("p:Some"), testing::StartsWith("p:TOTAL")));
}

TEST(PageLayout, WordsKeepTheirBoxesWhenTurned) {
  PageOfWords page{.number = 3, .width = 600, .height = 800};
  PageWord word{.text = "up"};
  word.left = 10, word.right = 20, word.top = 100, word.bottom = 130, word.size = 10, word.rotation = 3;
  page.words.push_back(word);
  const auto document = written({page});
  ASSERT_EQ(document.words.size(), 1U);
  EXPECT_EQ(document.words[0].left, 10);
  EXPECT_EQ(document.words[0].right, 20);
  EXPECT_EQ(document.words[0].top, 100);
  EXPECT_EQ(document.words[0].bottom, 130);
  EXPECT_EQ(document.words[0].page, 3);
}

}  // namespace
}  // namespace phial::documents
