#include "phial/formats/extracted_document.h"

#include <gtest/gtest.h>

#include <string>

namespace phial::formats {
namespace {

ExtractedDocument sample() {
  ExtractedDocument document;
  document.title = "Caf\xC3\xA9";
  document.format = "pdf";
  document.text = "Caf\xC3\xA9\n\nTwo words.\n";
  document.blocks = {{BlockKind::kHeading, 1, 1, 0, 5}, {BlockKind::kParagraph, 0, 1, 7, 17}};
  document.words = {{0, 5, 1, 10, 20, 42.5F, 30}, {7, 10, 1, 10, 40, 30, 50}};
  document.figures = {{0, 17, 0, 0, 0, 800, 600}, {7, 17, 1, 10, 60, 200, 120.5F}, {7, 10, 2, 1, 1, 2, 2}};
  document.warnings = {"page 2 has no text"};
  document.left_out = {"comments were left out"};
  document.machine_warning = "this kernel refuses seccomp";
  return document;
}

TEST(ExtractedDocument, ComesBackFromItsRecordUnchanged) {
  const ExtractedDocument document = sample();
  const auto text = dump_json(to_json(document));
  const auto back = document_from_json(*parse_json(text));
  ASSERT_TRUE(back) << back.error().text();
  EXPECT_EQ(dump_json(to_json(*back)), text);
  EXPECT_EQ(back->words[0].right, 42.5F);
  EXPECT_EQ(back->figures, document.figures);
  EXPECT_EQ(back->blocks[0].kind, BlockKind::kHeading);
}

TEST(ExtractedDocument, AnEmptyDocumentIsOne) { EXPECT_TRUE(document_from_json(to_json(ExtractedDocument{}))); }

TEST(ExtractedDocument, ARecordFromBeforeThereWereFiguresHasNone) {
  Json record = to_json(ExtractedDocument{});
  record.erase("figures");
  record.erase("machine_warning");
  EXPECT_TRUE(document_from_json(record));
}

// Each changes the record of a good document so that one promise is broken.
struct Break {
  const char* what;
  const char* pointer;
  Json value;
};

TEST(ExtractedDocument, EveryBrokenPromiseIsFound) {
  const Json good = to_json(sample());
  ASSERT_TRUE(document_from_json(good));
  const Break breaks[] = {
      {"title is no text", "/title", 3},
      {"title of two lines", "/title", "a\nb"},
      {"format missing", "/format", nullptr},
      {"text is not UTF-8", "/text", "Caf\xC3\n\nTwo words.....\n"},
      {"text with a carriage return", "/text", "Cafe.\n\nTwo words.\r"},
      {"text with an escape", "/text", "Cafe.\n\nTwo words.\x1B"},
      {"text with a C1 control", "/text", "Cafe.\n\nTwo words.\xC2\x85"},
      {"blocks are no array", "/blocks", 1},
      {"block of an unknown kind", "/blocks/0/kind", "poem"},
      {"heading without a level", "/blocks/0/level", 0},
      {"heading of level 7", "/blocks/0/level", 7},
      {"paragraph with a level", "/blocks/1/level", 1},
      {"negative page", "/blocks/0/page", -1},
      {"page beyond int", "/blocks/0/page", uint64_t{1} << 40},
      {"block that cuts a character", "/blocks/0/end", 4},
      {"block past the end", "/blocks/1/end", 19},
      {"block far past the end", "/blocks/1/end", ~uint64_t{0}},
      {"empty block", "/blocks/1/end", 7},
      {"block turned around", "/blocks/1/start", 17},
      {"overlapping blocks", "/blocks/1/start", 3},
      {"no blank line between blocks", "/blocks/0/end", 6},
      {"fractional offset", "/blocks/0/start", 0.5},
      {"block is no object", "/blocks/0", "x"},
      {"word of six numbers", "/words/0", Json::array({0, 5, 1, 1, 1, 1})},
      {"word without a page", "/words/0/2", 0},
      {"word that cuts a character", "/words/0/1", 4},
      {"words out of order", "/words/1/0", 0},
      {"box turned inside out", "/words/0/3", 50},
      {"box beyond any page", "/words/0/5", 1e30},
      {"box of no number", "/words/0/5", nullptr},
      {"figures missing", "/figures", nullptr},
      {"figure of six numbers", "/figures/0", Json::array({0, 5, 1, 1, 1, 1})},
      {"figure without text", "/figures/0/1", 0},
      {"figure past the end", "/figures/0/1", 1000},
      {"figure of a negative page", "/figures/0/2", -1},
      {"figures out of order", "/figures/2/0", 0},
      {"figure without area", "/figures/1/5", 10},
      {"figure outside its page", "/figures/1/3", -1},
      {"warning of two lines", "/warnings/0", "a\nb"},
      {"warning that is no text", "/warnings/0", 1},
      {"warnings missing", "/warnings", nullptr},
      {"what was left out in two lines", "/left_out/0", "a\nb"},
      {"warning of the machine of two lines", "/machine_warning", "a\nb"},
  };
  for (const Break& broken : breaks) {
    Json record = good;
    record[Json::json_pointer(broken.pointer)] = broken.value;
    const auto document = document_from_json(record);
    ASSERT_FALSE(document) << broken.what;
    EXPECT_EQ(document.error().code, Code::kCorrupt) << broken.what;
  }
  EXPECT_FALSE(document_from_json(Json::array()));
}

}  // namespace
}  // namespace phial::formats
