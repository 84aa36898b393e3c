#include "phial/documents/readers/page_figures.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace phial::documents {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// A page of 600 by 800 points, a pixel each.
class DrawnPage {
 public:
  DrawnPage() { fill(0, 0, kWidth, kHeight, {255, 255, 255}); }

  void fill(int left, int top, int right, int bottom, std::vector<uint8_t> colour) {
    for (int y = top; y < bottom; ++y) {
      for (int x = left; x < right; ++x) {
        for (int channel = 0; channel < 3; ++channel) bytes_[(y * kWidth + x) * 3 + channel] = colour[channel];
      }
    }
  }
  // As a photograph: hardly two pixels alike.
  void photograph(int left, int top, int right, int bottom) {
    uint32_t random = 7;
    for (int y = top; y < bottom; ++y) {
      for (int x = left; x < right; ++x) {
        random = random * 1664525 + 1013904223;
        const auto shade = static_cast<uint8_t>(random >> 24);
        fill(x, y, x + 1, y + 1, {shade, static_cast<uint8_t>(255 - shade), 90});
      }
    }
  }
  // A line of words, each drawn as a dark bar within its box.
  void write(int left, int top, int words, const std::string& first = "words") {
    for (int i = 0; i < words; ++i) {
      const int at = left + 34 * i;
      fill(at + 1, top + 2, at + 29, top + 9, {20, 20, 20});
      page_.words.push_back({.text = i == 0 ? first : "2",
                             .left = static_cast<float>(at),
                             .top = static_cast<float>(top),
                             .right = static_cast<float>(at + 30),
                             .bottom = static_cast<float>(top + 10),
                             .size = 10});
    }
  }
  std::vector<PageFigure> figures(int number = 1) {
    page_.number = number;
    page_.width = kWidth;
    page_.height = kHeight;
    return find_figures({bytes_.data(), kWidth, kHeight, 3, kWidth * 3}, 1, page_);
  }
  std::vector<std::string> places() {
    std::vector<std::string> places;
    for (const PageFigure& figure : figures()) {
      const auto number = [](float at) { return std::to_string(static_cast<int>(at)); };
      places.push_back(number(figure.box.left) + " " + number(figure.box.top) + " " + number(figure.box.right) + " " +
                       number(figure.box.bottom));
    }
    return places;
  }

 private:
  static constexpr int kWidth = 600, kHeight = 800;
  std::vector<uint8_t> bytes_ = std::vector<uint8_t>(size_t{3} * kWidth * kHeight);
  PageOfWords page_;
};

TEST(PageFigures, APhotographAmongTextIsOneAndTextIsNone) {
  DrawnPage page;
  for (int line = 0; line < 10; ++line) page.write(60, 60 + 14 * line, 12);
  EXPECT_THAT(page.places(), IsEmpty());
  page.photograph(100, 240, 300, 400);
  for (int line = 0; line < 10; ++line) page.write(60, 440 + 14 * line, 12);
  EXPECT_THAT(page.places(), ElementsAre("100 240 300 400"));
}

TEST(PageFigures, WhatIsSmallOrThinIsNone) {
  DrawnPage page;
  page.photograph(60, 20, 160, 60);    // a logo
  page.photograph(60, 100, 540, 104);  // a rule
  EXPECT_THAT(page.places(), IsEmpty());
}

TEST(PageFigures, AChartIsOneWithTheLabelsOnItsAxes) {
  DrawnPage page;
  page.fill(200, 200, 201, 400, {0, 0, 0});
  page.fill(200, 400, 420, 401, {0, 0, 0});
  for (int bar = 0; bar < 4; ++bar) page.fill(215 + 50 * bar, 250 + 30 * bar, 245 + 50 * bar, 400, {30, 90, 200});
  page.write(164, 220, 1, "100");
  page.write(215, 404, 1, "spring");
  page.write(60, 440, 12);
  EXPECT_THAT(page.places(), ElementsAre("164 200 420 414"));
}

TEST(PageFigures, TablesFramesAndTintedBoxesOfTextAreNone) {
  DrawnPage page;
  for (int row = 0; row <= 8; ++row) page.fill(60, 60 + 24 * row, 540, 61 + 24 * row, {0, 0, 0});
  for (const int column : {60, 220, 380, 539}) page.fill(column, 60, column + 1, 252, {0, 0, 0});
  for (int row = 0; row < 8; ++row) {
    for (const int column : {70, 230, 390}) page.write(column, 66 + 24 * row, 2);
  }
  page.fill(60, 300, 540, 440, {230, 240, 255});
  for (int line = 0; line < 4; ++line) page.write(80, 320 + 20 * line, 10);
  EXPECT_THAT(page.places(), IsEmpty());
}

TEST(PageFigures, AFrameAroundAPageDoesNotHideWhatStandsInIt) {
  DrawnPage page;
  for (const int edge : {30, 568}) page.fill(edge, 30, edge + 2, 770, {0, 0, 0});
  for (const int edge : {30, 768}) page.fill(30, edge, 570, edge + 2, {0, 0, 0});
  for (int line = 0; line < 20; ++line) page.write(60, 60 + 14 * line, 14);
  page.photograph(100, 500, 300, 660);
  EXPECT_THAT(page.places(), ElementsAre("100 500 300 660"));
}

TEST(PageFigures, BoxesAndArrowsAreAFigureWhereACaptionSaysSo) {
  const auto draw = [](DrawnPage& page) {
    for (const int left : {100, 300}) {
      for (const int edge : {0, 119}) page.fill(left + edge, 200, left + edge + 1, 280, {0, 0, 0});
      for (const int edge : {0, 79}) page.fill(left, 200 + edge, left + 120, 201 + edge, {0, 0, 0});
      page.write(left + 20, 235, 2);
    }
    page.fill(220, 240, 300, 241, {0, 0, 0});
  };
  DrawnPage plain, captioned;
  draw(plain);
  draw(captioned);
  captioned.write(100, 300, 6, "Figure");
  EXPECT_THAT(plain.places(), IsEmpty());
  EXPECT_EQ(captioned.places().size(), 1U);
}

TEST(PageFigures, WhatComesBackInOnePlaceIsNoneOfThePages) {
  std::vector<PageFigure> figures;
  for (int number = 1; number <= 4; ++number) {
    DrawnPage page;
    page.photograph(40, 40, 200, 140);                   // a letterhead
    if (number < 3) page.photograph(40, 300, 240, 460);  // the same twice
    page.photograph(300, 300, 500, 300 + 60 * number);   // another on each page
    for (PageFigure& figure : page.figures(number)) figures.push_back(std::move(figure));
  }
  remove_repeated_figures(figures);
  std::vector<std::string> kept;
  for (const PageFigure& figure : figures) {
    kept.push_back(std::to_string(figure.page) + ": " + std::to_string(static_cast<int>(figure.box.left)));
  }
  EXPECT_THAT(kept, ElementsAre("1: 40", "1: 300", "2: 300", "3: 300", "4: 300"));
}

TEST(PageFigures, CaptionsAreToldByTheirNumbers) {
  for (const char* text : {"Figure 3: Sales", "Fig. 12", "FIG 1", "Abbildung 2.1: x", "Abb. 4"}) {
    EXPECT_TRUE(is_caption(text)) << text;
  }
  for (const char* text : {"Figures are drawn", "Figure skating 2024", "In Figure 3", "", "3", "Table 3"}) {
    EXPECT_FALSE(is_caption(text)) << text;
  }
}

}  // namespace
}  // namespace phial::documents
