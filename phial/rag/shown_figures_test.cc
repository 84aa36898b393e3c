// Figures in prompts and answers. phial_rag_fake_reader draws "PICTURE abcdef" as two pixels.
#include "phial/rag/shown_figures.h"

#include <gmock/gmock.h>

#include "phial/generate/fake_model.h"
#include "phial/rag/answer.h"
#include "phial/rag/testing.h"

namespace phial::rag {
namespace {

using generate::FakeModel;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

class Figures : public LibraryTest {
 protected:
  void SetUp() override {
    LibraryTest::SetUp();
    write_file(docs() / "sales.txt",
               "PICTURE abcdef\n\nBicycles sold in each quarter of the year, a chart of the shop.");
    write_file(docs() / "oven.txt", "# Oven manual\n\nThe oven bakes bread at 220 degrees. <|image_1|>");
    add();
  }
  static FakeModel seeing(const std::string& answer, int context_tokens = 4096) {
    FakeModel model({answer}, context_tokens);
    model.picture_tokens = 50;
    return model;
  }
  Answer ask(FakeModel& model, const std::string& question, int figures = 1) {
    AnswerOptions options;
    options.explain = true;
    options.figures = figures;
    options.reader = test_options().reader;
    const auto answer = Answerer(*store, embedder, &model).answer(question, {}, options, nullptr);
    EXPECT_EQ(error_of(answer), "");
    return answer ? *answer : Answer{};
  }
  const std::string chart_question = "What does the chart of bicycles sold in each quarter show?";
};

TEST_F(Figures, StandInThePromptWhereTheirPassageDoes) {
  FakeModel model = seeing("The chart shows bicycles sold in each quarter of the year [1].");
  const Answer answer = ask(model, chart_question);
  ASSERT_EQ(model.requests().size(), 1U);
  const generate::Message& message = model.requests()[0].messages.back();
  ASSERT_EQ(message.pictures.size(), 1U);
  EXPECT_EQ(message.pictures[0]->width, 2);
  EXPECT_THAT(message.pictures[0]->rgb, ElementsAre('a', 'b', 'c', 'd', 'e', 'f'));
  ASSERT_EQ(message.picture_at.size(), 1U);
  const std::string before = message.content.substr(0, message.picture_at[0]);
  const std::string after = message.content.substr(message.picture_at[0]);
  EXPECT_THAT(before, testing::EndsWith("]\n"));
  EXPECT_THAT(after, testing::StartsWith("\n  PICTURE abcdef\n"));
  EXPECT_THAT(message.content, HasSubstr("Answer from the passages and their pictures"));
  // Its words are in the text: an answer like any other.
  EXPECT_EQ(answer.mode, AnswerMode::kGenerated);
  ASSERT_EQ(answer.sentences.size(), 1U);
  EXPECT_TRUE(answer.sentences[0].supported);
  EXPECT_FALSE(answer.sentences[0].seen);
  const Json json = to_json(answer);
  EXPECT_EQ(json["citations"][0]["figures"],
            Json::array({{{"page", nullptr}, {"left", 0.0}, {"top", 0.0}, {"width", 2.0}, {"height", 1.0}}}));
  EXPECT_EQ(json["explain"]["figures"][0]["tokens"], 50 + 11);  // eleven words more are said
}

TEST_F(Figures, ModelsThatDoNotSeeAreGivenTheTextAlone) {
  FakeModel model({"The chart shows bicycles sold in each quarter of the year [1]."});
  const Answer answer = ask(model, chart_question);
  ASSERT_EQ(model.requests().size(), 1U);
  EXPECT_THAT(model.requests()[0].messages.back().pictures, IsEmpty());
  EXPECT_THAT(model.requests()[0].messages.back().content, Not(HasSubstr("pictures")));
  FakeModel other = seeing("The chart shows bicycles sold in each quarter of the year [1].");
  ask(other, chart_question, 0);
  EXPECT_EQ(other.requests()[0].messages.back().content, model.requests()[0].messages.back().content);
}

TEST_F(Figures, WhatIsReadFromAPictureIsSaidToBeUnchecked) {
  FakeModel model = seeing(
      "Spring brought 4711 velocipedes and nothing else [1]. It never rains in Lisbon. "
      "Bicycles were sold in each quarter of the year [1].");
  const Answer answer = ask(model, chart_question);
  EXPECT_EQ(answer.mode, AnswerMode::kGenerated);
  EXPECT_THAT(answer.text, HasSubstr("Spring brought 4711 velocipedes and nothing else. (read from the picture, not "
                                     "checked) [1]"));
  ASSERT_FALSE(answer.sentences.empty());
  EXPECT_TRUE(answer.sentences[0].seen);
  EXPECT_FALSE(answer.sentences[0].supported);
  EXPECT_THAT(answer.citations.at(0).path, HasSubstr("sales.txt"));
  // It does not take the place of what the text says.
  FakeModel alone = seeing("Spring brought 4711 velocipedes and nothing else [1].");
  const Answer quoted = ask(alone, chart_question);
  EXPECT_EQ(quoted.mode, AnswerMode::kQuoted);
  EXPECT_THAT(quoted.text, testing::AllOf(HasSubstr("Bicycles sold in each quarter"), Not(HasSubstr("4711"))));
}

TEST_F(Figures, NothingIsSeenThroughAPassageWithoutAPicture) {
  FakeModel model = seeing("Spring brought 4711 velocipedes and nothing else [1].");
  const Answer answer = ask(model, "At how many degrees does the oven bake bread, and what does the chart show?");
  EXPECT_EQ(answer.mode, AnswerMode::kQuoted);
  EXPECT_THAT(answer.text, Not(HasSubstr("4711")));
}

TEST_F(Figures, AModelIsAskedWhereOnlyThePictureMayHoldTheAnswer) {
  FakeModel model = seeing("Nineteen zebras stand on a hill [1].");
  const std::string question = "Which animals graze on the savanna of the chart?";
  FakeModel blind({"Nineteen zebras stand on a hill [1]."});
  EXPECT_FALSE(ask(blind, question).answerable);
  EXPECT_THAT(blind.requests(), IsEmpty());
  const Answer answer = ask(model, question);
  EXPECT_TRUE(answer.answerable);
  EXPECT_TRUE(answer.sentences.at(0).seen);
  // What it says without naming the picture is no answer, whatever the texts say.
  FakeModel parrot = seeing("The oven bakes bread at 220 degrees.");
  const Answer none = ask(parrot, question);
  EXPECT_FALSE(none.answerable);
  EXPECT_THAT(none.text, testing::StartsWith("This is not in your documents."));
}

TEST_F(Figures, ThatDoNotShowItAreNoAnswer) {
  for (const char* denial : {"The picture does not show the animals [1].", "The image shows no animals [1].",
                             "The chart shows the savanna [1].", "The passages do not say it [1].",
                             "Zebras are not visible on the hill [1]."}) {
    FakeModel model = seeing(denial);
    const Answer answer = ask(model, "Which animals graze on the savanna of the chart?");
    EXPECT_EQ(model.requests().size(), 1U);
    EXPECT_FALSE(answer.answerable) << denial;
    EXPECT_THAT(answer.text, testing::StartsWith("This is not in your documents.")) << denial;
  }
}

TEST_F(Figures, ThatTheModelDoesNotTakeAreLeftOutAndThatIsTold) {
  write_file(docs() / "thin.txt", "PICTURE thin\n\nBicycles repaired in each quarter of the year, another chart.");
  add();
  FakeModel model = seeing("The chart shows bicycles repaired in each quarter of the year [1].");
  model.check_picture = refuse_thin;
  const Answer answer = ask(model, "How many bicycles were repaired in each quarter of the year in the chart?", 2);
  EXPECT_THAT(answer.warnings, ElementsAre(HasSubstr("too long and thin")));
  EXPECT_EQ(model.requests()[0].messages.back().pictures.size(), 1U);
  model.check_picture = [](const formats::Image&) -> Status { return Error{Code::kCancelled, "stopped", ""}; };
  AnswerOptions options;
  options.reader = test_options().reader;
  EXPECT_FALSE(Answerer(*store, embedder, &model).answer(chart_question, {}, options, nullptr));
}

TEST_F(Figures, ThatDoNotFitAreLeftOutAndThatIsTold) {
  FakeModel model = seeing("The chart shows bicycles sold in each quarter of the year [1].", 500);
  model.picture_tokens = 400;
  const Answer answer = ask(model, chart_question);
  EXPECT_THAT(model.requests()[0].messages.back().pictures, IsEmpty());
  EXPECT_THAT(answer.warnings, ElementsAre(HasSubstr("411 tokens do not fit into the context of 500")));
}

TEST_F(Figures, ThatCannotBeDrawnOrHaveChangedAreLeftOutAndThatIsTold) {
  write_file(docs() / "none.txt", "PICTURE none\n\nBicycles repaired in each quarter of the year, another chart.");
  add();
  FakeModel model = seeing("The chart shows bicycles sold in each quarter of the year [1].");
  Answer answer = ask(model, "How many bicycles were repaired in each quarter of the year in the chart?", 2);
  EXPECT_THAT(answer.warnings, ElementsAre(HasSubstr("it cannot be drawn")));
  EXPECT_EQ(model.requests()[0].messages.back().pictures.size(), 1U);
  write_file(docs() / "sales.txt", "PICTURE ghijkl\n\nNothing of the kind.");
  std::filesystem::last_write_time(docs() / "sales.txt",
                                   std::filesystem::file_time_type::clock::now() + std::chrono::seconds(9));
  answer = ask(model, chart_question);
  EXPECT_THAT(answer.warnings, testing::Contains(HasSubstr("has changed since it was added")));
  EXPECT_THAT(model.requests()[1].messages.back().pictures, IsEmpty());
}

TEST_F(Figures, ThatTakeTooLongToDrawAreLeftOutAndThatIsTold) {
  write_file(docs() / "sales.txt", "PICTURE slow\n\nBicycles sold in each quarter of the year, a chart of the shop.");
  write_file(docs() / "more.txt",
             "PICTURE slow \n\nBicycles sold in each quarter of another year, a chart of the shop.");
  add();
  FakeModel model = seeing("The chart shows bicycles sold in each quarter of the year [1].");
  AnswerOptions options;
  options.figures = 2;
  options.figure_seconds = 2;
  options.reader = test_options().reader;
  const auto answer = Answerer(*store, embedder, &model).answer(chart_question, {}, options, nullptr);
  ASSERT_EQ(error_of(answer), "");
  EXPECT_THAT(answer->warnings, ElementsAre(HasSubstr("drawing a figure took more than 2 s"),
                                            HasSubstr("the figures took more than 2 s to draw")));
  EXPECT_EQ(answer->mode, AnswerMode::kGenerated);
  EXPECT_THAT(model.requests()[0].messages.back().pictures, IsEmpty());
}

TEST_F(Figures, AreDrawnOnceForAllPassagesThatTellOfThem) {
  std::string text = "PICTURE abcdef\n\n";
  for (int i = 0; i < 60; ++i) text += "Bicycles sold in quarter " + std::to_string(i) + " of the year. ";
  write_file(docs() / "sales.txt", text);
  add();
  FakeModel model = seeing("Nothing.");
  AnswerOptions options;
  ask(model, "How many bicycles were sold in quarter 17 of the year in the chart?", 5);
  EXPECT_EQ(model.requests()[0].messages.back().pictures.size(), 1U);
}

}  // namespace
}  // namespace phial::rag
