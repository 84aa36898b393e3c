#include "phial/rag/quote.h"

#include <gmock/gmock.h>

#include "phial/rag/answer.h"
#include "phial/rag/testing.h"

namespace phial::rag {
namespace {

using testing::HasSubstr;
using testing::Not;

class Quotations : public LibraryTest {
 protected:
  void SetUp() override {
    LibraryTest::SetUp();
    write_file(docs() / "oven.txt",
               "# Oven manual\n\nThe oven bakes bread at 220 degrees. Preheat the oven for 15 minutes.");
    add();
  }
  // The answer without a model.
  std::string quoted(const std::string& question) {
    const auto answer = Answerer(*store, embedder, nullptr).answer(question, {}, {}, nullptr);
    EXPECT_EQ(error_of(answer), "");
    if (!answer) return "";
    EXPECT_EQ(answer->mode, AnswerMode::kQuoted);
    return answer->text;
  }
};

TEST_F(Quotations, AnswerWithoutAModel) {
  const std::string answer = quoted("How long should I preheat the oven?");
  EXPECT_THAT(answer, HasSubstr("Preheat the oven for 15 minutes. [1]"));
}

TEST_F(Quotations, AreNoLongerThanAnybodyReads) {
  std::string line = "The kettle of the head nurse is descaled with vinegar";
  for (int i = 0; i < 300; ++i) line += ", and then with lemon number " + std::to_string(i);
  write_file(docs() / "long.txt", line);
  add();
  const std::string answer = quoted("With what is the kettle of the head nurse descaled?");
  EXPECT_THAT(answer, HasSubstr("head nurse"));
  EXPECT_LT(answer.size(), 2100U);
}

TEST_F(Quotations, OfEqualSentencesPreferTheOneThatCanHoldTheAnswer) {
  write_file(docs() / "walk.txt",
             "The walk to the tower of Ebersmoor is long. The walk to the tower of Ebersmoor takes three hours.");
  add();
  const std::string answer = quoted("How long is the walk to the tower of Ebersmoor?");
  EXPECT_THAT(answer, HasSubstr("three hours"));
}

TEST_F(Quotations, GoOnToWhatExplains) {
  write_file(
      docs() / "minutes.txt",
      "The chair opened the meeting of the mill. The board refused the bid of Oriel for the mill. It was twice as "
      "dear as the others.\n\nThe bid of Oriel had come late.");
  add();
  EXPECT_THAT(quoted("Why was the bid of Oriel for the mill refused?"),
              HasSubstr("refused the bid of Oriel for the mill. [1] It was twice as dear as the others. [1]"));
  EXPECT_THAT(quoted("Who refused the bid of Oriel for the mill?"), Not(HasSubstr("twice as dear")));
}

TEST_F(Quotations, LeaveOutWhatIsOnlyNames) {
  write_file(docs() / "letter.txt",
             "What the post brought last week.\n\nOriel Timber Works Ebersmoor\n\nthe Oriel Timber Works of Ebersmoor "
             "belong to the Marsh family.");
  add();
  EXPECT_EQ(quoted("Which family owns the Oriel Timber Works of Ebersmoor?"),
            "the Oriel Timber Works of Ebersmoor belong to the Marsh family. [1]");
}

TEST_F(Quotations, MayBeTheFirstRowOfATable) {
  write_file(docs() / "people.txt",
             "The people of the old workshop\nIda Lund | carpenter | Rudolstadt\nOmar Reyes | painter | Weimar");
  add();
  EXPECT_THAT(quoted("What is the job of Ida Lund?"), HasSubstr("Ida Lund | carpenter | Rudolstadt [1]"));
}

TEST_F(Quotations, LeaveOutTheNamesOfColumns) {
  write_file(docs() / "menu.txt",
             "The meals of the week\nDay | Breakfast | Lunch\nMonday | porridge | soup\nTuesday | rolls | stew");
  add();
  const std::string answer = quoted("What is there for lunch on Tuesday?");
  EXPECT_THAT(answer, HasSubstr("Tuesday | rolls | stew [1]"));
  EXPECT_THAT(answer, Not(HasSubstr("Breakfast")));
}

TEST_F(Quotations, SayNothingTwice) {
  write_file(
      docs() / "copy.txt",
      "# Notes\n\nSomebody wrote this about kettles and other things last year.\n\nDescale the kettle with vinegar "
      "every month.");
  add();
  const std::string answer = quoted("How often should I descale the kettle with vinegar?");
  const size_t first = answer.find("Descale the kettle");
  ASSERT_NE(first, std::string::npos);
  EXPECT_EQ(answer.find("Descale the kettle", first + 1), std::string::npos) << answer;
}

}  // namespace
}  // namespace phial::rag
