#include "phial/rag/describe.h"

#include <gmock/gmock.h>

#include "phial/generate/fake_model.h"
#include "phial/rag/answer.h"
#include "phial/rag/retrieve.h"
#include "phial/rag/sql.h"
#include "phial/rag/testing.h"

namespace phial::rag {
namespace {

using generate::FakeModel;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

// A document whose spans can be told from its text: "One.\n\nTwo.\n\nThree."
formats::ExtractedDocument three_blocks() {
  formats::ExtractedDocument document;
  document.format = "pdf";
  document.text = "One.\n\nTwo.\n\nThree.";
  document.blocks = {
      {.page = 1, .start = 0, .end = 4}, {.page = 1, .start = 6, .end = 10}, {.page = 2, .start = 12, .end = 18}};
  document.words = {{0, 4, 1, 1, 1, 2, 2}, {6, 10, 1, 1, 3, 2, 4}, {12, 18, 2, 1, 1, 2, 2}};
  return document;
}

std::vector<std::string> texts_of(const formats::ExtractedDocument& document, const auto& spans) {
  std::vector<std::string> texts;
  for (const auto& span : spans) texts.push_back(document.text.substr(span.start, span.end - span.start));
  return texts;
}

TEST(Descriptions, StandBehindTheBlockTheirFigureGoesWithAndMoveTheRest) {
  formats::ExtractedDocument document = three_blocks();
  document.figures = {{0, 4, 1, 0, 0, 9, 9}, {0, 4, 1, 9, 9, 20, 20}, {6, 8, 1, 0, 0, 9, 9}, {12, 18, 2, 0, 0, 9, 9}};
  const auto described = with_descriptions(document, std::vector<std::string>{"A cat.", "", "A dog.", "An owl."});
  EXPECT_EQ(described.text, "One.\n\nA cat.\n\nTwo.\n\nA dog.\n\nThree.\n\nAn owl.");
  EXPECT_THAT(texts_of(described, described.blocks),
              ElementsAre("One.", "A cat.", "Two.", "A dog.", "Three.", "An owl."));
  EXPECT_THAT(texts_of(described, described.words), ElementsAre("One.", "Two.", "Three."));
  EXPECT_THAT(texts_of(described, described.figures),
              ElementsAre("One.\n\nA cat.", "One.", "Two.\n\nA dog.", "Three.\n\nAn owl."));
  EXPECT_EQ(described.blocks[5].page, 2);
  // Whatever comes of it keeps the promises of the record.
  EXPECT_TRUE(formats::document_from_json(formats::to_json(described)));
}

TEST(Descriptions, SeveralOfOneBlockFollowEachOther) {
  formats::ExtractedDocument document = three_blocks();
  document.figures = {{6, 10, 1, 0, 0, 9, 9}, {6, 10, 1, 9, 9, 20, 20}};
  const auto described = with_descriptions(document, std::vector<std::string>{"A cat.", "A dog."});
  EXPECT_EQ(described.text, "One.\n\nTwo.\n\nA cat.\n\nA dog.\n\nThree.");
  EXPECT_THAT(texts_of(described, described.figures), ElementsAre("Two.\n\nA cat.", "Two.\n\nA cat.\n\nA dog."));
  EXPECT_TRUE(formats::document_from_json(formats::to_json(described)));
}

class Describing : public LibraryTest {
 protected:
  void SetUp() override {
    LibraryTest::SetUp();
    write_file(docs() / "a.txt", "PICTURE abcdef\n\nWhat hangs in the hall.");
    write_file(docs() / "plain.txt", "Nothing hangs in the kitchen.");
  }
  IngestReport describe(FakeModel& model, const std::stop_token& cancel = {}) {
    IngestOptions options = test_options();
    options.describer = &model;
    options.describer_name = "fake";
    options.cancel = cancel;
    return add(options);
  }
  std::string text_of(const std::string& name) {
    std::string text;
    const auto file = store->file((docs() / name).string());
    const auto passages = store->passages_of((*file)->content_id);
    for (const StoredPassage& passage : *passages) text += passage.text + passage.gap;
    return text;
  }
  static FakeModel seeing(std::vector<std::string> answers) {
    FakeModel model(std::move(answers));
    model.picture_tokens = 10;
    return model;
  }
};

TEST_F(Describing, AFigureIsFoundByWhatTheModelSaw) {
  FakeModel model = seeing({"A painting\nof  nineteen\x01 zebras."});
  EXPECT_EQ(describe(model).described, 1);
  EXPECT_THAT(text_of("a.txt"), HasSubstr("\n\nPicture, as fake describes it: A painting of nineteen zebras."));
  Retriever retriever(*store, embedder);
  const auto found = retriever.search("zebras", {});
  ASSERT_EQ(error_of(found), "");
  ASSERT_FALSE(found->hits.empty());
  EXPECT_THAT(found->hits[0].path, HasSubstr("a.txt"));
  EXPECT_EQ(found->hits[0].figures.size(), 1U);
  ASSERT_EQ(model.requests().size(), 1U);
  EXPECT_THAT(model.requests()[0].messages[0].pictures[0]->rgb, ElementsAre('a', 'b', 'c', 'd', 'e', 'f'));
}

TEST_F(Describing, ASecondTryWithoutTheModelLosesNoDescription) {
  FakeModel model = seeing({"Nineteen zebras."});
  describe(model);
  take_all_for_read_in_part();
  IngestOptions again = test_options();
  again.retry_failed = true;
  const IngestReport report = add(again);
  EXPECT_EQ(report.changed, 1);  // plain.txt
  EXPECT_EQ(report.unchanged, 1);
  EXPECT_THAT(text_of("a.txt"), HasSubstr("zebras"));
}

TEST_F(Describing, WhatRestsOnADescriptionAloneIsSaidToBeUnchecked) {
  FakeModel model = seeing({"A painting of nineteen zebras on a green hill."});
  describe(model);
  const std::string question = "Which painting of nineteen zebras hangs in the hall?";
  const auto ask = [&](generate::LanguageModel* writer) {
    const auto answer = Answerer(*store, embedder, writer).answer(question, {}, {}, nullptr);
    EXPECT_EQ(error_of(answer), "");
    return answer ? *answer : Answer{};
  };
  const auto described = [](const Answer& answer) {
    return std::ranges::find_if(answer.sentences,
                                [](const auto& one) { return one.text.find("green hill") != one.text.npos; });
  };
  const Answer quoted = ask(nullptr);
  ASSERT_NE(described(quoted), quoted.sentences.end()) << quoted.text;
  EXPECT_TRUE(described(quoted)->seen);
  EXPECT_FALSE(described(quoted)->supported);
  EXPECT_THAT(quoted.text, HasSubstr("green hill. (a model's description of the picture, not checked) [1]"));

  FakeModel writer({"Nineteen zebras stand on a green hill in the painting [1]."});
  const Answer written = ask(&writer);
  ASSERT_NE(described(written), written.sentences.end()) << written.text;
  EXPECT_TRUE(described(written)->seen);
  EXPECT_FALSE(described(written)->supported);

  // What a text says too is supported by it.
  write_file(docs() / "list.txt", "The painting of nineteen zebras on a green hill hangs in the hall.");
  describe(model);
  FakeModel again({"The painting of nineteen zebras on a green hill [1]."});
  const Answer supported = ask(&again);
  ASSERT_NE(described(supported), supported.sentences.end()) << supported.text;
  EXPECT_TRUE(described(supported)->supported);
  EXPECT_FALSE(described(supported)->seen);
}

TEST_F(Describing, EachPictureOnceAndWhatIsInTheLibraryAlready) {
  add();
  EXPECT_THAT(text_of("a.txt"), Not(HasSubstr("zebras")));
  std::filesystem::copy(docs() / "a.txt", docs() / "same.txt");
  add();
  FakeModel model = seeing({"Zebras.", "Lions."});
  IngestReport report = describe(model);
  EXPECT_EQ(report.described, 1);
  EXPECT_THAT(text_of("a.txt"), HasSubstr("Zebras."));
  EXPECT_THAT(text_of("same.txt"), HasSubstr("Zebras."));
  EXPECT_EQ(store->totals()->documents, 2);
  // Nothing is left to do.
  EXPECT_EQ(describe(model).unchanged, 3);
  // The same picture in another document, and in one that changed.
  write_file(docs() / "b.txt", "PICTURE abcdef\n\nIn the attic.");
  write_file(docs() / "a.txt", "PICTURE abcdef\n\nIn the hall, again.");
  EXPECT_EQ(describe(model).described, 0);
  EXPECT_THAT(text_of("a.txt"), HasSubstr("In the hall, again.\n\nPicture, as fake describes it: Zebras."));
  EXPECT_THAT(text_of("b.txt"), HasSubstr("Zebras."));
  EXPECT_EQ(model.requests().size(), 1U);
}

TEST_F(Describing, AStopLosesNoDescription) {
  write_file(docs() / "b.txt", "PICTURE ghijkl\n\nIn the attic.");
  std::stop_source stop;
  size_t asked = 0;
  FakeModel model([&](const generate::GenerateRequest&) -> std::string {
    if (++asked == 2) stop.request_stop();
    return "Zebras.";
  });
  model.picture_tokens = 10;
  IngestOptions options = test_options();
  options.readers = 1;
  options.describer = &model;
  options.describer_name = "fake";
  options.cancel = stop.get_token();
  const std::filesystem::path path = docs();
  const auto stopped = ingest(*store, embedder, std::span(&path, 1), options, nullptr);
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().code, Code::kCancelled);
  EXPECT_EQ(describe(model).described, 1);
  EXPECT_EQ(asked, 3U);
  EXPECT_THAT(text_of("a.txt"), HasSubstr("Zebras."));
  EXPECT_THAT(text_of("b.txt"), HasSubstr("Zebras."));
}

TEST_F(Describing, WhatCannotBeDrawnIsAWarningAndWhatSaysNothingIsLeftOut) {
  write_file(docs() / "none.txt", "PICTURE none\n\nIn the cellar.");
  FakeModel model = seeing({" \n "});
  EXPECT_EQ(describe(model).problems.size(), 0U);
  EXPECT_THAT(text_of("none.txt"), HasSubstr("In the cellar."));
  EXPECT_THAT(text_of("a.txt"), Not(HasSubstr("describes")));
}

TEST_F(Describing, EachSentenceSaysWhoseItIsAndACutOneIsLeftOut) {
  std::string text = "A painting of zebras. They stand on a hill.";
  for (int i = 0; i < 200; ++i) text += " Word";
  FakeModel model = seeing({text});
  describe(model);
  EXPECT_THAT(text_of("a.txt"), HasSubstr("Picture, as fake describes it: A painting of zebras. Picture, as fake "
                                          "describes it: They stand on a hill."));
  EXPECT_THAT(text_of("a.txt"), Not(HasSubstr("Word")));
}

TEST_F(Describing, APictureThatTheModelDoesNotTakeLeavesTheOthers) {
  write_file(docs() / "b.txt", "PICTURE thin\n\nIn the attic.");
  FakeModel model = seeing({"Zebras."});
  model.check_picture = refuse_thin;
  EXPECT_EQ(describe(model).problems.size(), 0U);
  EXPECT_THAT(text_of("a.txt"), HasSubstr("Zebras."));
  EXPECT_THAT(text_of("b.txt"), HasSubstr("In the attic."));
  EXPECT_EQ(describe(model).unchanged, 3);
}

TEST_F(Describing, WhatFailsForNowIsAProblemAndTriedAgain) {
  FakeModel model = seeing({"Zebras."});
  model.check_picture = [](const formats::Image&) -> Status {
    return Error{Code::kOutOfRange, "the context is too short", "ask for a longer one"};
  };
  const IngestReport report = describe(model);
  ASSERT_EQ(report.problems.size(), 1U);
  EXPECT_THAT(report.problems[0].message,
              HasSubstr("1 of its figures could not be described: the context is too short"));
  EXPECT_EQ(report.problems[0].remedy, "ask for a longer one");
  EXPECT_THAT(text_of("a.txt"), HasSubstr("What hangs in the hall."));
  model.check_picture = nullptr;
  EXPECT_EQ(describe(model).described, 1);
  EXPECT_THAT(text_of("a.txt"), HasSubstr("Zebras."));
  EXPECT_EQ(describe(model).unchanged, 2);
}

TEST_F(Describing, WhatCannotBeReadAgainStaysAsItWas) {
  write_file(docs() / "scan.txt", "SCANNED abcdef\n\nThe rent is due in March.");
  add();
  FakeModel model = seeing({"Zebras."});
  IngestOptions options = test_options();
  options.describer = &model;
  options.describer_name = "fake";
  options.reader.program = folder / "nowhere";
  const IngestReport report = add(options);
  EXPECT_EQ(report.problems.size(), 2U);
  EXPECT_EQ(report.removed + report.changed + report.added, 0);
  EXPECT_EQ(store->totals()->failed_files, 0);
  EXPECT_THAT(text_of("a.txt"), HasSubstr("What hangs in the hall."));
  EXPECT_THAT(text_of("scan.txt"), HasSubstr("The rent is due in March."));
  // Nor does it lose the text that was recognised.
  options.reader = test_options().reader;
  options.reader.ocr = false;
  const IngestReport blind = add(options);
  ASSERT_EQ(blind.problems.size(), 1U);
  EXPECT_THAT(blind.problems[0].remedy, HasSubstr("recognise text as the first time"));
  EXPECT_THAT(text_of("a.txt"), HasSubstr("Zebras."));
  EXPECT_THAT(text_of("scan.txt"), HasSubstr("The rent is due in March."));
  EXPECT_EQ(describe(model).changed, 1);
  EXPECT_THAT(text_of("scan.txt"), testing::AllOf(HasSubstr("The rent is due in March."), HasSubstr("Zebras.")));
}

TEST_F(Describing, ADescriptionGoesWithTheLastDocumentThatHasItsPicture) {
  FakeModel model = seeing({"Zebras.", "Lions."});
  const std::filesystem::path other = folder / "other";
  write_file(docs() / "b.txt", "PICTURE ghijkl\n\nIn the attic.");
  write_file(other / "c.txt", "PICTURE abcdef\n\nIn the cellar.");
  describe(model);
  IngestOptions options = test_options();
  options.describer = &model;
  options.describer_name = "fake";
  ASSERT_EQ(error_of(ingest(*store, embedder, std::span(&other, 1), options, nullptr)), "");
  const auto count = [&] {
    const auto database = Database::open(folder / "library.db", 1000);
    auto statement = (*database)->prepare("SELECT count(*) FROM descriptions");
    return *statement->step() ? statement->integer(0) : -1;
  };
  EXPECT_EQ(count(), 2);
  ASSERT_EQ(error_of(store->remove_root(docs().string())), "");
  EXPECT_EQ(count(), 1);
  // That of the picture which the other root has too is still there: nobody writes it again.
  write_file(other / "d.txt", "PICTURE abcdef\n\nIn the garage.");
  const auto report = ingest(*store, embedder, std::span(&other, 1), options, nullptr);
  ASSERT_EQ(error_of(report), "");
  EXPECT_EQ(report->described, 0);
  ASSERT_EQ(error_of(store->remove_root(other.string())), "");
  EXPECT_EQ(count(), 0);
}

}  // namespace
}  // namespace phial::rag
