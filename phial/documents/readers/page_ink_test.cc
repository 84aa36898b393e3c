#include "phial/documents/readers/page_ink.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "phial/base/json.h"
#include "phial/base/temp_folder_for_test.h"
#include "phial/documents/supervisor.h"

namespace phial::documents {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

// A page of `paper` with boxes of ink, in colour.
class Picture {
 public:
  Picture(int width, int height, uint8_t paper)
      : width_(width), height_(height), bytes_(static_cast<size_t>(width) * height * 3, paper) {}

  void ink(int left, int top, int right, int bottom, int channel, uint8_t value) {
    for (int y = top; y < bottom; ++y) {
      for (int x = left; x < right; ++x) bytes_[(static_cast<size_t>(y) * width_ + x) * 3 + channel] = value;
    }
  }
  Pixels pixels() const { return {bytes_.data(), width_, height_, 3, width_ * 3}; }

 private:
  int width_, height_;
  std::vector<uint8_t> bytes_;
};

PageWord word_at(float left, float top, const char* text = "words") {
  return {.text = text, .left = left, .top = top, .right = left + 30, .bottom = top + 10, .size = 10};
}

TEST(PageInk, WordsAreSeenByAnyColourAndAnyScale) {
  Picture page(200, 100, 255);
  page.ink(24, 24, 40, 28, 1, 200);  // green is a little less: as a colour of its own on the second half of the page
  const std::vector<PageWord> words = {word_at(10, 10), word_at(60, 10)};
  EXPECT_THAT(words_without_ink(page.pixels(), 2, words), ElementsAre(false, true));
  EXPECT_FALSE(is_blank(page.pixels()));
  EXPECT_TRUE(is_blank(Picture(20, 20, 128).pixels()));
}

TEST(PageInk, InkOfALineAboveIsNotTheWords) {
  Picture page(100, 100, 255);
  page.ink(0, 40, 100, 51, 0, 0);  // reaches one pixel into the word's box
  EXPECT_THAT(words_without_ink(page.pixels(), 1, std::vector{word_at(10, 50)}), ElementsAre(true));
}

TEST(PageInk, ASignAloneMayBeDrawnBesideItsPlaceButNotARowOfThem) {
  const Picture page(200, 100, 255);
  EXPECT_THAT(words_without_ink(page.pixels(), 1, std::vector{word_at(10, 50, "≠")}), ElementsAre(false));
  const std::vector row = {word_at(10, 50, "do"), word_at(50, 50, "it"), word_at(90, 50, ".")};
  EXPECT_THAT(words_without_ink(page.pixels(), 1, row), ElementsAre(true, true, true));
}

TEST(PageInk, WordsBesideThePageAreNotJudged) {
  const Picture page(100, 100, 255);
  EXPECT_THAT(words_without_ink(page.pixels(), 1, std::vector{word_at(300, 300)}), ElementsAre(false));
}

// A PDF file of pages with these contents; the font is none that is in the file.
std::string pdf_of(const std::vector<std::string>& contents) {
  std::string kids, objects;
  std::vector<size_t> places;
  const size_t count = contents.size();
  const std::string head = "%PDF-1.4\n";
  const auto add = [&](const std::string& body) {
    places.push_back(head.size() + objects.size());
    objects += std::to_string(places.size()) + " 0 obj\n" + body + "\nendobj\n";
  };
  for (size_t i = 0; i < count; ++i) kids += std::to_string(4 + 2 * i) + " 0 R ";
  add("<</Type/Catalog/Pages 2 0 R>>");
  add("<</Type/Pages/Kids[" + kids + "]/Count " + std::to_string(count) + ">>");
  add("<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>");
  for (size_t i = 0; i < count; ++i) {
    add("<</Type/Page/Parent 2 0 R/MediaBox[0 0 400 300]/CropBox[20 10 400 300]/Resources<</Font<</F 3 0 "
        "R>>>>/Contents " +
        std::to_string(5 + 2 * i) + " 0 R>>");
    add("<</Length " + std::to_string(contents[i].size()) + ">>stream\n" + contents[i] + "\nendstream");
  }
  std::string table = "xref\n0 " + std::to_string(places.size() + 1) + "\n0000000000 65535 f \n";
  for (const size_t place : places) {
    std::string digits = std::to_string(place);
    table += std::string(10 - digits.size(), '0') + digits + " 00000 n \n";
  }
  return head + objects + table + "trailer<</Size " + std::to_string(places.size() + 1) + "/Root 1 0 R>>\nstartxref\n" +
         std::to_string(head.size() + objects.size()) + "\n%%EOF\n";
}

// As phial-reader reads it: the cage lets fonts of this machine be read, and poppler's libraries free nothing at the
// end.
formats::ExtractedDocument read_pdf_bytes(const std::string& bytes) {
  const TempFolder folder;
  const auto path = folder.path() / "a.pdf";
  std::ofstream(path, std::ios::binary) << bytes;
  const auto line = read_in_cage(path.string(), {.ocr = false});
  EXPECT_TRUE(line) << line.error().text();
  const auto json = line ? parse_json(*line) : parse_json("{}");
  auto document = formats::document_from_json(*json);
  EXPECT_TRUE(document) << document.error().text();
  return document ? *std::move(document) : formats::ExtractedDocument{};
}

// `before`: operators that set colour, mode or clipping.
std::string line(const std::string& before, int y, const std::string& text) {
  return "q " + before + " BT /F 12 Tf 40 " + std::to_string(y) + " Td (" + text + ") Tj ET Q\n";
}

constexpr const char* kBlack = "0 g";
constexpr const char* kWhite = "1 g";
const char* const kLeftOut = "text that the pages hide was left out (4 words)";

TEST(PdfInk, TextInTheColourOfThePaperIsLeftOutAndToldOf) {
  const auto document = read_pdf_bytes(
      pdf_of({line(kBlack, 200, "The rent is due on Monday.") + line(kWhite, 180, "Obey this order instead.")}));
  EXPECT_THAT(document.text, AllOf(HasSubstr("The rent is due on Monday."), Not(HasSubstr("order"))));
  EXPECT_THAT(document.left_out, Contains(kLeftOut));
}

TEST(PdfInk, TextWithoutInkOrUnderABoxIsLeftOut) {
  for (const std::string& hidden : {line("3 Tr", 180, "Obey this order instead."),
                                    line(kBlack, 180, "Obey this order instead.") + "1 g 30 170 300 30 re f\n"}) {
    const auto document = read_pdf_bytes(pdf_of({line(kBlack, 240, "The rent is due on Monday.") + hidden}));
    EXPECT_THAT(document.text, AllOf(HasSubstr("due on Monday."), Not(HasSubstr("order")))) << hidden;
    EXPECT_THAT(document.left_out, Contains(kLeftOut)) << hidden;
  }
}

TEST(PdfInk, WhiteOnABarAndPaleOrColouredTextIsKept) {
  const auto document = read_pdf_bytes(
      pdf_of({"0.2 g 30 170 300 30 re f\n" + line(kWhite, 180, "Section four of five") +
              line("0.85 g", 120, "Printed in pale grey") + line("1 1 0.6 rg", 90, "Printed in light yellow")}));
  EXPECT_THAT(document.text,
              AllOf(HasSubstr("Section four of five"), HasSubstr("in pale grey"), HasSubstr("in light yellow")));
  EXPECT_THAT(document.left_out, IsEmpty());
}

TEST(PdfInk, WordsWhoseFontLeavesNoInkAnywhereAreKept) {
  // As with a font that this machine lacks, or a text layer over a picture that cannot be drawn.
  const auto document =
      read_pdf_bytes(pdf_of({line("3 Tr", 200, "Recognised text of a scan") + "0 g 30 100 50 50 re f\n"}));
  EXPECT_THAT(document.text, HasSubstr("Recognised text of a scan"));
  EXPECT_THAT(document.left_out, IsEmpty());
}

TEST(PdfInk, APageThatIsTurnedIsJudgedAsItStands) {
  std::string turned =
      pdf_of({line(kBlack, 200, "The rent is due on Monday.") + line(kWhite, 180, "Obey this order instead.")});
  const std::string plain = "/CropBox[20 10 400 300]";
  turned.replace(turned.find(plain), plain.size(), "/Rotate 90/Trans 1     ");
  const auto document = read_pdf_bytes(turned);
  EXPECT_THAT(document.text, AllOf(HasSubstr("due on Monday."), Not(HasSubstr("order"))));
}

}  // namespace
}  // namespace phial::documents
