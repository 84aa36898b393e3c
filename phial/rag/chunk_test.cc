#include "phial/rag/chunk.h"

#include <gmock/gmock.h>

#include "phial/base/random.h"
#include "phial/base/utf8.h"
#include "phial/rag/lexical.h"
#include "phial/rag/sentences.h"

namespace phial::rag {
namespace {

using formats::BlockKind;
using formats::ExtractedDocument;

int count_words(std::string_view text) { return static_cast<int>(words_of(text).size()); }

class Builder {
 public:
  Builder& add(BlockKind kind, const std::string& text, int level = 0, int page = 0) {
    if (!document_.text.empty()) document_.text += "\n\n";
    const uint64_t start = document_.text.size();
    document_.text += text;
    document_.blocks.push_back({kind, level, page, start, document_.text.size()});
    return *this;
  }
  ExtractedDocument document_;
};

std::string text_of(const ExtractedDocument& document, const Passage& passage) {
  return document.text.substr(passage.start, passage.end - passage.start);
}

// What holds for the passages of every document.
void expect_sound(const ExtractedDocument& document, const std::vector<Passage>& passages,
                  const ChunkOptions& options) {
  uint64_t last = 0;
  for (const Passage& passage : passages) {
    ASSERT_LE(last, passage.start);
    ASSERT_LT(passage.start, passage.end);
    ASSERT_LE(passage.end, document.text.size());
    // Between passages only white space is left out.
    EXPECT_EQ(document.text.substr(last, passage.start - last).find_first_not_of(" \n\t"), std::string::npos);
    const std::string text = text_of(document, passage);
    EXPECT_EQ(is_valid_utf8(text), is_valid_utf8(document.text));
    EXPECT_LE(count_words(embedding_text(passage, document.text)), options.max_tokens);
    EXPECT_LE(text.size(), options.max_passage_bytes + 64);
    last = passage.end;
  }
  EXPECT_EQ(document.text.substr(last).find_first_not_of(" \n\t"), std::string::npos);
}

TEST(Chunk, HeadingsArePathAndContext) {
  Builder builder;
  builder.add(BlockKind::kHeading, "Guide", 1)
      .add(BlockKind::kHeading, "Install", 2)
      .add(BlockKind::kParagraph, "Run the installer. Then restart.")
      .add(BlockKind::kHeading, "Use", 2)
      .add(BlockKind::kParagraph, "Press the button.");
  const auto passages = chunk(builder.document_, {}, count_words);
  ASSERT_EQ(passages.size(), 2U);
  EXPECT_EQ(passages[0].heading, "Guide > Install");
  EXPECT_EQ(text_of(builder.document_, passages[0]), "Guide\n\nInstall\n\nRun the installer. Then restart.");
  EXPECT_EQ(passages[0].context, "");
  EXPECT_EQ(passages[1].heading, "Guide > Use");
  EXPECT_EQ(passages[1].context, "Guide");
  expect_sound(builder.document_, passages, {});
}

TEST(Chunk, NumberedQuestionsStandWithTheirAnswersAlone) {
  const std::string answer = "Hold the button for ten seconds. Then wait until the light is green.";
  Builder builder;
  builder.add(BlockKind::kHeading, "FAQ", 1)
      .add(BlockKind::kParagraph, "12. How do I reset the device?")
      .add(BlockKind::kParagraph, answer)
      .add(BlockKind::kParagraph, "13. Is it waterproof? No. Keep it dry.")
      .add(BlockKind::kParagraph,
           "Q3: May I sell it?\nA3: Yes, with its papers.\nQ4: \u4E3A\u4EC0\u4E48\uFF1F\nA4: Because.")
      .add(BlockKind::kListItem, "\u95EE\u98985\uFF1A\u600E\u4E48\u9000\u8D27\uFF1F")
      .add(BlockKind::kListItem, "\u7B54\uFF1A\u5728\u4E03\u5929\u5185\u3002");
  const auto passages = chunk(builder.document_, {}, count_words);
  std::vector<std::string> texts, headings;
  for (const Passage& passage : passages) {
    texts.push_back(text_of(builder.document_, passage));
    headings.push_back(passage.heading);
  }
  EXPECT_THAT(texts, testing::ElementsAre(
                         "FAQ\n\n12. How do I reset the device?\n\n" + answer, "13. Is it waterproof? No. Keep it dry.",
                         "Q3: May I sell it?\nA3: Yes, with its papers.", "Q4: \u4E3A\u4EC0\u4E48\uFF1F\nA4: Because.",
                         "\u95EE\u98985\uFF1A\u600E\u4E48\u9000\u8D27\uFF1F\n\n"
                         "\u7B54\uFF1A\u5728\u4E03\u5929\u5185\u3002"));
  EXPECT_EQ(headings.at(0), "FAQ > 12. How do I reset the device?");
  EXPECT_EQ(headings.at(2), "FAQ > Q3: May I sell it?");
  expect_sound(builder.document_, passages, {});
}

TEST(Chunk, APassageIsOfThePageThatItBeginsOn) {
  Builder builder;
  std::string text;
  for (int i = 0; i < 100; ++i) text += "This is sentence number " + std::to_string(i) + " of the text. ";
  builder.add(BlockKind::kParagraph, text, 0, 3).add(BlockKind::kParagraph, "A picture without places.", 0, 5);
  const size_t turn = text.find("number 50");
  builder.document_.words = {{0, 4, 3, 0, 0, 1, 1}, {turn, turn + 6, 4, 0, 0, 1, 1}};
  const auto passages = chunk(builder.document_, {}, count_words);
  ASSERT_GE(passages.size(), 3U);
  for (const Passage& passage : passages) {
    const int page = passage.start <= turn ? 3 : 4;
    EXPECT_EQ(passage.page, passage.start < text.size() ? page : 5) << passage.start;
  }
}

TEST(Chunk, QuestionsThatNothingAnswersAreOrdinaryText) {
  Builder builder;
  builder.add(BlockKind::kListItem, "1. Who was there?")
      .add(BlockKind::kListItem, "2. What was said?")
      .add(BlockKind::kHeading, "Next", 1)
      .add(BlockKind::kParagraph, "They met in March. Is 2. a number? Nobody knows.");
  const auto passages = chunk(builder.document_, {}, count_words);
  ASSERT_EQ(passages.size(), 2U);
  EXPECT_EQ(passages[0].heading, "");
  EXPECT_EQ(passages[1].heading, "Next");
}

TEST(Chunk, HeadingsAndQuestionsStayWithWhatFollows) {
  const ChunkOptions options{.max_tokens = 60, .max_context_tokens = 20, .max_passage_bytes = 4096};
  for (int before = 1; before < 60; ++before) {
    std::string text;
    for (int i = 0; i < before; ++i) text += "word ";
    Builder builder;
    builder.add(BlockKind::kParagraph,
                text + "end. Why is that so? Because the sea is cold there and the wind is strong.");
    const auto passages = chunk(builder.document_, options, count_words);
    expect_sound(builder.document_, passages, options);
    for (const Passage& passage : passages) EXPECT_FALSE(is_question(text_of(builder.document_, passage))) << before;
  }
}

TEST(Chunk, LongSectionIsCutBetweenSentencesIntoEvenParts) {
  Builder builder;
  std::string text;
  for (int i = 0; i < 100; ++i) text += "This is sentence number " + std::to_string(i) + " of the text. ";
  builder.add(BlockKind::kHeading, "Long", 1).add(BlockKind::kParagraph, text);
  const ChunkOptions options{.max_tokens = 200, .max_context_tokens = 20, .max_passage_bytes = 4096};
  const auto passages = chunk(builder.document_, options, count_words);
  expect_sound(builder.document_, passages, options);
  ASSERT_GE(passages.size(), 4U);
  for (const Passage& passage : passages) {
    EXPECT_TRUE(text_of(builder.document_, passage).ends_with("text."));
    EXPECT_GT(count_words(text_of(builder.document_, passage)), 100);
    EXPECT_EQ(passage.heading, "Long");
  }
  EXPECT_EQ(passages[1].context, "Long");
}

TEST(Chunk, TableRowsKeepTheirHeader) {
  Builder builder;
  std::string table = "Name\tColour\tWeight";
  for (int i = 0; i < 200; ++i) table += "\nThing" + std::to_string(i) + "\tred\t" + std::to_string(i);
  builder.add(BlockKind::kTable, table);
  const ChunkOptions options{.max_tokens = 100, .max_context_tokens = 20, .max_passage_bytes = 4096};
  const auto passages = chunk(builder.document_, options, count_words);
  expect_sound(builder.document_, passages, options);
  ASSERT_GT(passages.size(), 3U);
  for (size_t i = 1; i < passages.size(); ++i) EXPECT_EQ(passages[i].context, "Name\tColour\tWeight");
  for (const Passage& passage : passages)
    EXPECT_EQ(text_of(builder.document_, passage).back(), text_of(builder.document_, passage).back());
}

TEST(Chunk, TextWithoutSpacesOrStructureIsCutAtCharacters) {
  const ChunkOptions options{.max_tokens = 120, .max_context_tokens = 20, .max_passage_bytes = 2000};
  std::string chinese;
  for (int i = 0; i < 800; ++i) chinese += i % 40 == 39 ? "。" : "数据库文件";
  std::string endless(100000, 'x');
  std::string spaces(100000, ' ');
  std::string japanese;
  for (int i = 0; i < 3000; ++i) japanese += "データ";
  for (const std::string& text :
       {chinese, endless, spaces + "end", japanese, std::string("\xff\xfe\x80").append(5000, '\x80')}) {
    ExtractedDocument document;
    document.text = text;
    const auto passages = chunk(document, options, count_words);
    EXPECT_FALSE(passages.empty());
    expect_sound(document, passages, options);
  }
}

TEST(Chunk, TitleIsContextExceptWhereTheTextBeginsWithIt) {
  ExtractedDocument document;
  document.title = "Wings in a slipstream";
  document.text = document.title + ". ";
  for (int i = 0; i < 40; ++i) document.text += "The lift was measured again. ";
  const ChunkOptions options{.max_tokens = 120, .max_context_tokens = 20};
  const auto passages = chunk(document, options, count_words);
  ASSERT_GT(passages.size(), 1U);
  EXPECT_EQ(passages[0].context, "");
  for (size_t i = 1; i < passages.size(); ++i) EXPECT_EQ(passages[i].context, document.title);
}

TEST(Chunk, EmptyDocumentsHaveNoPassages) {
  EXPECT_TRUE(chunk({}, {}, count_words).empty());
  ExtractedDocument blank;
  blank.text = " \n\n\t ";
  EXPECT_TRUE(chunk(blank, {}, count_words).empty());
}

TEST(Chunk, AnyDocumentIsCoveredExactly) {
  Random random(3);
  const std::string parts[] = {"word ",  "Sentence one. ",           "数据", "\n", "e.g. this ", "ÄÖÜ ",
                               "1,024 ", "https://example.org/a/b ", "!? "};
  const ChunkOptions options{.max_tokens = 80, .max_context_tokens = 16, .max_passage_bytes = 600};
  for (int round = 0; round < 200; ++round) {
    Builder builder;
    const int blocks = 1 + static_cast<int>(random.below(12));
    for (int b = 0; b < blocks; ++b) {
      std::string text = "T";
      for (uint64_t i = random.below(120); i > 0; --i) text += parts[random.below(std::size(parts))];
      while (text.ends_with(' ') || text.ends_with('\n')) text.pop_back();
      const auto kind = static_cast<BlockKind>(random.below(5));
      if (kind == BlockKind::kHeading) text = text.substr(0, utf8_floor(text, std::min<size_t>(60, text.size())));
      while (text.ends_with(' ') || text.ends_with('\n')) text.pop_back();
      builder.add(kind, text, kind == BlockKind::kHeading ? 1 + static_cast<int>(random.below(6)) : 0);
    }
    expect_sound(builder.document_, chunk(builder.document_, options, count_words), options);
  }
}

std::vector<std::string> sentences_in(std::string_view text) {
  std::vector<std::string> found;
  for (const Span& span : split_sentences(text)) found.emplace_back(text.substr(span.start, span.size()));
  return found;
}

TEST(Sentences, EndAtStopsInAnyScriptButNotAfterAbbreviations) {
  EXPECT_THAT(sentences_in("One here. Two,\nwrapped. See Fig. 3 for it. Three!"),
              testing::ElementsAre("One here.", "Two,\nwrapped.", "See Fig. 3 for it.", "Three!"));
  EXPECT_THAT(sentences_in("今日は雨です。明日は晴れます。"),
              testing::ElementsAre("今日は雨です。", "明日は晴れます。"));
  EXPECT_THAT(sentences_in("  "), testing::IsEmpty());
  EXPECT_THAT(sentences_in(
                  "Do this:\n1. Open the lid. Pour.\n2. Close\n it.\n\nOr:\n - tea\n\u2022 coffee\nb) milk - or\nnone"),
              testing::ElementsAre("Do this:", "1. Open the lid.", "Pour.", "2. Close\n it.", "Or:", "- tea",
                                   "\u2022 coffee", "b) milk - or\nnone"));
  EXPECT_THAT(sentences_in("The text was written by\nA. Smith. Read by us."),
              testing::ElementsAre("The text was written by\nA. Smith.", "Read by us."));
  EXPECT_THAT(sentences_in("It came (in the 2.X line) first. Then -5 fell\n-3 rose, in 1999. It ended."),
              testing::ElementsAre("It came (in the 2.X line) first.", "Then -5 fell\n-3 rose, in 1999.", "It ended."));
}

TEST(Sentences, EndWithLinesThatWereNotFull) {
  // A title, the fields of a form, an address.
  EXPECT_THAT(sentences_in("Release 4.2\nThe agency delivered. The date of the release stays\nthe same."),
              testing::ElementsAre("Release 4.2", "The agency delivered.", "The date of the release stays\nthe same."));
  EXPECT_THAT(
      sentences_in("Patient: Biscuit (beagle)\nDate: 8 August\nOwner: Mrs. Adaeze Nwosu, 12 Hill Road"),
      testing::ElementsAre("Patient: Biscuit (beagle)", "Date: 8 August", "Owner: Mrs. Adaeze Nwosu, 12 Hill Road"));
  // Wrapped text: the next word had no room, or goes on small; a line that cannot be broken makes none wider.
  const std::string wrapped =
      "The harbour master said on Tuesday that the\nPort Authority of Marrowfield and the county\nwould pay for the\n"
      "repairs together. Details are on the "
      "page\nhttps://example.org/harbour/2024/ferry-slip-repairs-and-who-pays-them\n"
      "Harbour Office.";
  EXPECT_THAT(sentences_in(wrapped),
              testing::Contains("The harbour master said on Tuesday that the\nPort Authority of Marrowfield "
                                "and the county\nwould pay for the\nrepairs together."));
}

TEST(Sentences, GoOnBehindAMarkWithinAWord) {
  EXPECT_THAT(sentences_in("See https://camp.example/map?day=sunday for the map. If a != b, stop! Yahoo! accounts are "
                           "old. Really? Yes."),
              testing::ElementsAre("See https://camp.example/map?day=sunday for the map.", "If a != b, stop!",
                                   "Yahoo! accounts are old.", "Really?", "Yes."));
  EXPECT_THAT(sentences_in("What is the fee?\tThe fee is 40."),
              testing::ElementsAre("What is the fee?", "The fee is 40."));
  EXPECT_THAT(sentences_in("5.15. Temporary files\n\nThey stay."),
              testing::ElementsAre("5.15. Temporary files", "They stay."));
  EXPECT_THAT(sentences_in("Of the cellar compartment no. 9.\n\n2. Term\n\nIt ends."),
              testing::ElementsAre("Of the cellar compartment no. 9.", "2. Term", "It ends."));
}

TEST(Sentences, EndWithTheFieldsOfAFormOrOfSettings) {
  EXPECT_THAT(
      sentences_in("Invoice no.: 12\nPrice (EUR): 40.50, paid by card on the way to the office of the firm\nDue: May"),
      testing::ElementsAre("Invoice no.: 12", "Price (EUR): 40.50, paid by card on the way to the office of the firm",
                           "Due: May"));
  EXPECT_THAT(sentences_in("[server]\nworkers = 6\nlogging:\n  level: WARNING"),
              testing::ElementsAre("[server]", "workers = 6", "logging:", "level: WARNING"));
  const std::string wrapped =
      "The deposit: it must be paid before the day of\nmoving in at last: cash is not accepted by the owner.";
  EXPECT_THAT(sentences_in(wrapped), testing::ElementsAre(wrapped));
  EXPECT_FALSE(is_field("They came, all of them: nobody stayed."));
  EXPECT_FALSE(is_field("https://example.org at 10:30"));
}

TEST(Sentences, GoOnBehindTheNumberOfAGermanDate) {
  EXPECT_THAT(
      sentences_in("Das Fest ist am 12. Juni 2025. Es stammt aus dem 19. Jahrhundert (1. Auflage). Sie ist 12. Tim "
                   "ist 9."),
      testing::ElementsAre("Das Fest ist am 12. Juni 2025.", "Es stammt aus dem 19. Jahrhundert (1. Auflage).",
                           "Sie ist 12.", "Tim ist 9."));
}

TEST(Sentences, RowsOfATableStandForThemselves) {
  EXPECT_THAT(sentences_in("Staff of the old workshop by the river\nIda Lund | carpenter\nOmar Reyes | painter | since "
                           "2019\nThe doors\nopen at eight."),
              testing::ElementsAre("Staff of the old workshop by the river", "Ida Lund | carpenter",
                                   "Omar Reyes | painter | since 2019", "The doors\nopen at eight."));
  EXPECT_TRUE(is_row("Item: Pine shelf; Price EUR: 129; Delivery: 5 days"));
  EXPECT_TRUE(is_row("Item: Pine shelf; Notes: call first; pay later; Price EUR: 129"));
  for (const char* line : {"", "Item: Pine shelf", "It was late; they left: nobody stayed.", "Note: this; or that."}) {
    EXPECT_FALSE(is_row(line)) << line;
  }
  const std::string_view text = "Above.\nA | b. C\nBelow.";
  EXPECT_EQ(row_at(text, text.find('A', 1)), 7U);
  EXPECT_EQ(row_at(text, text.find('C')), 7U);
  EXPECT_EQ(row_at(text, 0), std::nullopt);
  EXPECT_EQ(row_at(text, text.size()), std::nullopt);
}

TEST(Numbering, IsWhatOnlyCountsOrMarksAnItem) {
  const auto rest = [](std::string_view line) { return std::string(line.substr(numbering(line))); };
  EXPECT_EQ(rest("(27) What is the number?"), "What is the number?");
  EXPECT_EQ(rest("9.2.3. Averages"), "Averages");
  EXPECT_EQ(rest("3. The open day"), "The open day");
  EXPECT_EQ(rest("12) Done"), "Done");
  EXPECT_EQ(rest("- a line"), "a line");
  EXPECT_EQ(rest("\u2022 a line"), "a line");
  for (const char* line : {"12 May 2026", "3.5 litres", "2026. A year", "-5 degrees", "(see below) more", "()", "1.",
                           "- ", "", "A. Smith", "1.2 GB"}) {
    EXPECT_EQ(numbering(line), 0U) << line;
  }
}

}  // namespace
}  // namespace phial::rag
