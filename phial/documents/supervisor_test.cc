// The program's whole way, but for its command line: child, cage, reader, pipe. Expectations are in
// testdata/docs/expected.json; with PHIAL_SHARED, the folder that the copies were taken from is gone through as well.
#include "phial/documents/supervisor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>

#include "phial/base/json.h"
#include "phial/base/mapped_file.h"
#include "phial/documents/testing.h"

namespace phial::documents {
namespace {

namespace fs = std::filesystem;
using formats::ExtractedDocument;
using testing::AllOf;
using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

const fs::path kDocs = fs::path(PHIAL_TESTDATA) / "docs";

Result<ExtractedDocument> read_file(const fs::path& path, const SuperviseOptions& options) {
  PHIAL_TRY(const std::string line, read_in_cage(path.string(), options));
  EXPECT_EQ(line.find('\n'), std::string::npos);
  PHIAL_TRY(const Json json, parse_json(line));
  return formats::document_from_json(json);
}

fs::path write_temporary(const std::string& name, const std::string& bytes) {
  const fs::path path = fs::path(testing::TempDir()) / ("phial_documents_" + name);
  std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  return path;
}

std::string error_of_bytes(const std::string& name, const std::string& bytes, const SuperviseOptions& options = {}) {
  const fs::path path = write_temporary(name, bytes);
  const auto document = read_file(path, options);
  fs::remove(path);
  if (document) return "no error";
  EXPECT_EQ(document.error().text().find('\n'), std::string::npos);
  return document.error().text();
}

Json expectations() {
  auto text = read_text_file(kDocs / "expected.json");
  EXPECT_TRUE(text);
  auto json = parse_json(*text);
  EXPECT_TRUE(json);
  return *std::move(json);
}

void expect_texts(const ExtractedDocument& document, const Json& expected, const std::string& name) {
  const auto each = [&](const char* key, const auto& check) {
    const Json* list = find_member(expected, key);
    if (list == nullptr) return;
    for (const Json& text : *list) check(text.get<std::string>());
  };
  const auto blocks = outline(document);
  each("blocks", [&](const std::string& block) { EXPECT_THAT(blocks, Contains(block)) << name; });
  each("texts", [&](const std::string& text) { EXPECT_THAT(document.text, HasSubstr(text)) << name; });
  each("absent", [&](const std::string& text) { EXPECT_THAT(document.text, Not(HasSubstr(text))) << name; });
}

void expect_words(const ExtractedDocument& document, const std::string& name) {
  EXPECT_THAT(document.words, Not(IsEmpty())) << name;
  for (const formats::WordBox& word : document.words) {
    ASSERT_LT(word.start, word.end) << name;
    ASSERT_LE(word.left, word.right) << name;
    ASSERT_LE(word.top, word.bottom) << name;
    ASSERT_GE(word.page, 1) << name;
  }
}

// "page: left top right bottom", each to within a few points: lines have a width.
void expect_figures(const ExtractedDocument& document, const Json& expected, const std::string& name) {
  constexpr float kNear = 8;
  ASSERT_EQ(document.figures.size(), expected.size()) << name;
  for (size_t i = 0; i < expected.size(); ++i) {
    const formats::Figure& found = document.figures[i];
    formats::Figure wanted;
    const auto text = expected[i].get<std::string>();
    ASSERT_EQ(std::sscanf(text.c_str(), "%d: %f %f %f %f", &wanted.page, &wanted.left, &wanted.top, &wanted.right,
                          &wanted.bottom),
              5);
    EXPECT_EQ(found.page, wanted.page) << name;
    EXPECT_NEAR(found.left, wanted.left, kNear) << name << " " << text;
    EXPECT_NEAR(found.top, wanted.top, kNear) << name << " " << text;
    EXPECT_NEAR(found.right, wanted.right, kNear) << name << " " << text;
    EXPECT_NEAR(found.bottom, wanted.bottom, kNear) << name << " " << text;
  }
}

void expect_document(const fs::path& path, const Json& expected, const std::string& name) {
  SuperviseOptions options;
  options.ocr = false;
  const auto document = read_file(path, options);
  if (const std::string* error = find_string(expected, "error")) {
    ASSERT_FALSE(document) << name;
    EXPECT_THAT(document.error().text(), HasSubstr(*error)) << name;
    EXPECT_THAT(document.error().remedy, Not(IsEmpty())) << name;
    return;
  }
  ASSERT_TRUE(document) << name << ": " << document.error().text();
  EXPECT_EQ(document->format, *find_string(expected, "format")) << name;
  const std::string* title = find_string(expected, "title");
  EXPECT_EQ(document->title, title != nullptr ? *title : document->title) << name;
  expect_texts(*document, expected, name);
  if (const std::string* left_out = find_string(expected, "left_out")) {
    EXPECT_THAT(document->left_out, Contains(HasSubstr(*left_out))) << name;
  }
  if (const auto pages = find_int(expected, "pages")) {
    int last = 0;
    for (const auto& block : document->blocks) last = std::max(last, block.page);
    for (const auto& word : document->words) last = std::max(last, word.page);  // a paragraph may run on
    EXPECT_EQ(last, *pages) << name;
  }
  if (find_member(expected, "words") != nullptr) expect_words(*document, name);
  if (const Json* figures = find_member(expected, "figures")) expect_figures(*document, *figures, name);
}

TEST(Documents, EachSampleIsReadAsExpected) {
  size_t found = 0;
  const Json all = expectations();
  for (const auto& [name, expected] : all.items()) {
    if (!fs::exists(kDocs / name)) continue;
    expect_document(kDocs / name, expected, name);
    ++found;
  }
  EXPECT_GE(found, 25U);
}

TEST(Documents, EachFileOfTheSharedFolderIsReadAsExpected) {
  const char* shared = std::getenv("PHIAL_SHARED");
  if (shared == nullptr)
    GTEST_SKIP() << "PHIAL_SHARED names no folder with more documents; those of the tree are read above";
  const fs::path docs = fs::path(shared) / "data" / "docs";
  const Json expected = expectations();
  for (const auto& file : fs::recursive_directory_iterator(docs)) {
    if (!file.is_regular_file() || file.path().filename() == "SOURCE.md") continue;
    const std::string name = fs::relative(file.path(), docs).string();
    ASSERT_TRUE(expected.contains(name)) << name << " has no expected result";
    expect_document(file.path(), expected[name], name);
  }
}

TEST(Documents, ScansAndPicturesAreRecognisedWhereTesseractIsInstalled) {
  if (!open_tesseract("eng")) GTEST_SKIP() << "Tesseract or its English data is not installed: run scripts/setup";
  size_t found = 0;
  const Json all = expectations();
  for (const auto& [name, expected] : all.items()) {
    const Json* texts = find_member(expected, "ocr");
    if (texts == nullptr || !fs::exists(kDocs / name)) continue;
    const auto document = read_file(kDocs / name, {.seconds = 300});
    ASSERT_TRUE(document) << name << ": " << document.error().text();
    for (const Json& text : *texts) EXPECT_THAT(document->text, HasSubstr(text.get<std::string>())) << name;
    expect_words(*document, name);
    if (document->format == "image") {
      ASSERT_EQ(document->figures.size(), 1U) << name;
      EXPECT_EQ(document->figures[0].end, document->text.size()) << name;
    }
    ++found;
  }
  EXPECT_GE(found, 2U);
}

// TIFF is a format of scans, which are read but not shown.
TEST(Documents, APictureThatHasNothingButItsTextIsRefusedWithTheRemedyThatHelps) {
  const std::string tiff("II*\0\x08\0\0\0\0\0\0\0\0\0", 14);
  const fs::path path = write_temporary("scan.tiff", tiff);
  const auto off = read_file(path, {.ocr = false});
  fs::remove(path);
  ASSERT_FALSE(off);
  EXPECT_THAT(off.error().remedy, HasSubstr("--no-ocr"));
  EXPECT_THAT(off.error().remedy, Not(HasSubstr("install")));
}

// The oracle is Pillow, which wrote the files beside them.
TEST(Documents, APictureFileIsDrawnAsItIsAndAnIconIsNoDocument) {
  size_t found = 0;
  for (const auto& entry : fs::directory_iterator(fs::path(PHIAL_TESTDATA) / "images")) {
    if (entry.path().extension() == ".ppm") continue;
    const auto document = read_file(entry.path(), {.ocr = false});
    ASSERT_FALSE(document) << entry.path();
    EXPECT_THAT(document.error().message, HasSubstr("less than 32 pixels"));
    const auto drawn = draw_in_cage(entry.path().string(), {.right = 1, .bottom = 1}, {});
    ASSERT_TRUE(drawn) << drawn.error().text();
    EXPECT_EQ(*drawn, *read_text_file(entry.path().string() + ".ppm")) << entry.path();
    ++found;
  }
  EXPECT_GE(found, 20U);
}

TEST(Documents, APictureFileIsAFigureUnderTheWordsOfItsName) {
  const auto document = read_file(kDocs / "made/scan-askew.png", {.ocr = false});
  ASSERT_TRUE(document) << document.error().text();
  EXPECT_EQ(document->text, "scan askew");
  ASSERT_EQ(document->figures.size(), 1U);
  const formats::Figure& figure = document->figures[0];
  EXPECT_EQ(figure.start, 0U);
  EXPECT_EQ(figure.end, document->text.size());
  const auto drawn = draw_in_cage((kDocs / "made/scan-askew.png").string(), figure, {});
  ASSERT_TRUE(drawn) << drawn.error().text();
  EXPECT_THAT(*drawn, testing::StartsWith("P6\n" + std::to_string(static_cast<int>(figure.right)) + " " +
                                          std::to_string(static_cast<int>(figure.bottom)) + "\n"));
}

// Whether Tesseract is there or not.
TEST(Documents, APictureWhoseTextIsNotRecognisedTellsWhy) {
  const auto document = read_file(kDocs / "made/scan-askew.png", {.languages = "none-such"});
  ASSERT_TRUE(document) << document.error().text();
  EXPECT_EQ(document->text, "scan askew");
  EXPECT_THAT(document->warnings, Contains(AllOf(HasSubstr("not recognised: Tesseract"), HasSubstr("apt install"))));
}

TEST(Documents, AFigureThatIsNotThereIsAnErrorOfOneLine) {
  const auto why_not = [](const fs::path& path, const formats::Figure& figure) {
    const auto drawn = draw_in_cage(path.string(), figure, {});
    return drawn ? "it is drawn" : drawn.error().text();
  };
  const formats::Figure whole{.right = 10, .bottom = 10}, first_page{.page = 1, .right = 10, .bottom = 10};
  EXPECT_THAT(why_not(kDocs / "md/sqlite-faq.md", whole), HasSubstr("a markdown file has no figures"));
  EXPECT_THAT(why_not(kDocs / "made/scan-askew.png", first_page), HasSubstr("no pages"));
  const fs::path broken = write_temporary("broken.png", read_text_file(kDocs / "made/scan-askew.png")->substr(0, 999));
  EXPECT_THAT(why_not(broken, whole), HasSubstr("ends early"));
  EXPECT_THAT(read_file(broken, {.ocr = false}).error().text(), HasSubstr("ends early"));
  fs::remove(broken);
}

TEST(Documents, WordBoxesMarkTheirWords) {
  const auto document = read_file(kDocs / "hard/receipt.pdf", {});
  ASSERT_TRUE(document);
  const auto total = std::find_if(document->words.begin(), document->words.end(), [&](const formats::WordBox& word) {
    return document->text.substr(word.start, word.end - word.start) == "$821.14";
  });
  ASSERT_NE(total, document->words.end());
  EXPECT_EQ(total->page, 1);
  EXPECT_GT(total->right, total->left);
}

TEST(Documents, AFileCutShortAnywhereIsReadOrRefusedInOneLine) {
  for (const char* name : {"hard/receipt.pdf", "docx/equations.docx", "epub/small.epub", "hard/two-column.pdf"}) {
    const auto whole = read_text_file(kDocs / name);
    ASSERT_TRUE(whole);
    for (int part = 0; part < 12; ++part) {
      const std::string cut = whole->substr(0, whole->size() * static_cast<size_t>(part) / 12 + 1);
      const std::string error = error_of_bytes(fs::path(name).filename().string(), cut, {.ocr = false});
      EXPECT_THAT(error, Not(HasSubstr("crash"))) << name << " " << part;
    }
  }
}

TEST(Documents, ChangedBytesNeverBreakTheParent) {
  for (const char* name : {"hard/receipt.pdf", "docx/equations.docx", "epub/small.epub"}) {
    const auto whole = read_text_file(kDocs / name);
    ASSERT_TRUE(whole);
    uint32_t random = 12345;
    for (int round = 0; round < 12; ++round) {
      std::string changed = *whole;
      for (int i = 0; i < 40; ++i) {
        random = random * 1664525 + 1013904223;
        changed[(random >> 8) % changed.size()] = static_cast<char>(random);
      }
      EXPECT_THAT(error_of_bytes(fs::path(name).filename().string(), changed, {.ocr = false}), Not(IsEmpty()));
    }
  }
}

TEST(Documents, GarbageUnderEveryNameIsRefused) {
  std::string garbage;
  uint32_t random = 7;
  for (int i = 0; i < 100'000; ++i) {
    random = random * 1664525 + 1013904223;
    garbage.push_back(static_cast<char>(random >> 16));
  }
  for (const char* name : {"a.txt", "a.html", "a.md", "a.csv", "a.cc", "a"}) {
    EXPECT_THAT(error_of_bytes(name, garbage), HasSubstr("binary")) << name;
  }
  EXPECT_THAT(error_of_bytes("a.pdf", "%PDF-1.7\n" + garbage, {.ocr = false}), HasSubstr("PDF"));
  EXPECT_THAT(error_of_bytes("a.docx", "PK\3\4word/document.xml" + garbage), HasSubstr("zip archive is damaged"));
}

TEST(Documents, TooMuchMemoryTimeOrFileIsAnErrorThatSaysSo) {
  std::string page = "<p>";
  for (int i = 0; i < 2'000'000; ++i) page += "<i>x</i>";
  const std::string little_memory = error_of_bytes("big.html", page, {.memory_mb = 96});
  const bool limited = little_memory != "no error";  // sanitizers cannot limit memory
  EXPECT_THAT(little_memory, HasSubstr(limited ? "memory" : "no error"));
  EXPECT_THAT(error_of_bytes("big.txt", std::string(3 << 20, 'x'), {.max_file_mb = 2}), HasSubstr("at most 2"));
}

TEST(Documents, AMissingFileAFolderAndAnEmptyFileAreNamed) {
  EXPECT_THAT(read_in_cage("/no/such/file.pdf", {}).error().text(), HasSubstr("/no/such/file.pdf"));
  EXPECT_FALSE(read_in_cage(testing::TempDir(), {}));
  EXPECT_THAT(error_of_bytes("empty.txt", ""), HasSubstr("empty"));
}

}  // namespace
}  // namespace phial::documents
