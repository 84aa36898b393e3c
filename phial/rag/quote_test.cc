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
  // The answer without a model, of a library of one document.
  std::string quoted(const std::string& text, const std::string& question) {
    write_file(docs() / "document.txt", text);
    add();
    const auto answer = Answerer(*store, embedder, nullptr).answer(question, {}, {}, nullptr);
    EXPECT_EQ(error_of(answer), "");
    if (!answer) return "";
    EXPECT_EQ(answer->mode, AnswerMode::kQuoted);
    return answer->text;
  }
};

TEST_F(Quotations, AnswerWithoutAModel) {
  const std::string answer =
      quoted("# Oven manual\n\nThe oven bakes bread at 220 degrees. Preheat the oven for 15 minutes.",
             "How long should I preheat the oven?");
  EXPECT_THAT(answer, HasSubstr("Preheat the oven for 15 minutes. [1]"));
}

TEST_F(Quotations, AreNoLongerThanAnybodyReads) {
  std::string line = "The kettle of the head nurse is descaled with vinegar";
  for (int i = 0; i < 300; ++i) line += ", and then with lemon number " + std::to_string(i);
  const std::string answer = quoted(line, "With what is the kettle of the head nurse descaled?");
  EXPECT_THAT(answer, HasSubstr("head nurse"));
  EXPECT_LT(answer.size(), 2100U);
}

TEST_F(Quotations, OfEqualSentencesPreferTheOneThatCanHoldTheAnswer) {
  const std::string text =
      "The walk to the tower of Ebersmoor is long. The walk to the tower of Ebersmoor takes three hours.";
  const std::string answer = quoted(text, "How long is the walk to the tower of Ebersmoor?");
  EXPECT_THAT(answer, HasSubstr("three hours"));
}

TEST_F(Quotations, GoOnToWhatExplains) {
  const std::string text =
      "The chair opened the meeting of the mill. The board refused the bid of Oriel for the mill. It was twice as "
      "dear as the others.\n\nThe bid of Oriel had come late.";
  EXPECT_THAT(quoted(text, "Why was the bid of Oriel for the mill refused?"),
              HasSubstr("refused the bid of Oriel for the mill. [1] It was twice as dear as the others. [1]"));
  EXPECT_THAT(quoted(text, "Who refused the bid of Oriel for the mill?"), Not(HasSubstr("twice as dear")));
}

TEST_F(Quotations, LeaveOutWhatIsOnlyNames) {
  const std::string text =
      "What the post brought last week.\n\nOriel Timber Works Ebersmoor\n\nthe Oriel Timber Works of Ebersmoor "
      "belong to the Marsh family.";
  EXPECT_EQ(quoted(text, "Which family owns the Oriel Timber Works of Ebersmoor?"),
            "the Oriel Timber Works of Ebersmoor belong to the Marsh family. [1]");
}

TEST_F(Quotations, MayBeTheFirstRowOfATable) {
  const std::string text =
      "The people of the old workshop\nIda Lund | carpenter | Rudolstadt\nOmar Reyes | painter | Weimar";
  EXPECT_THAT(quoted(text, "What is the job of Ida Lund?"), HasSubstr("Ida Lund | carpenter | Rudolstadt [1]"));
}

TEST_F(Quotations, LeaveOutTheNamesOfColumns) {
  const std::string text =
      "The meals of the week\nDay | Breakfast | Lunch\nMonday | porridge | soup\nTuesday | rolls | stew";
  const std::string answer = quoted(text, "What is there for lunch on Tuesday?");
  EXPECT_THAT(answer, HasSubstr("Tuesday | rolls | stew [1]"));
  EXPECT_THAT(answer, Not(HasSubstr("Breakfast")));
}

TEST_F(Quotations, MayBeOfTwoWordsOrALineOfAForm) {
  const std::string hut =
      "Rules of the mountain hut\n\nDogs are not allowed. Shoes stay outside. Breakfast is at 7. The showers cost "
      "extra money in the hut.";
  EXPECT_EQ(quoted(hut, "Are dogs allowed in the hut?"), "Dogs are not allowed. [1]");
  EXPECT_EQ(quoted(hut, "When is breakfast?"), "Breakfast is at 7. [1]");
  const std::string card =
      "Toaster Kestrel 40\nPurchased at: Meyer and Sons, Linz\nSerial number: TK-9912\nColour: black";
  EXPECT_EQ(quoted(card, "What is the serial number of the toaster?"), "Serial number: TK-9912 [1]");
}

TEST_F(Quotations, MayBeAHeadingThatHoldsWhatIsAskedFor) {
  write_file(
      docs() / "changes.md",
      "# Changes\n\n## Version 3.2.1 released 2024-05-02\n\n- Fixed a crash when a name held an emoji\n\n## Version "
      "3.1.0 released 2024-02-20\n\n- Export to CSV was added for all reports\n");
  EXPECT_THAT(quoted("Notes of the shop about other things.", "When was version 3.1.0 released?"),
              HasSubstr("Version 3.1.0 released 2024-02-20 [1]"));
}

TEST_F(Quotations, SayNothingTwice) {
  const std::string text =
      "# Notes\n\nSomebody wrote this about kettles and other things last year.\n\nDescale the kettle with vinegar "
      "every month.";
  const std::string answer = quoted(text, "How often should I descale the kettle with vinegar?");
  const size_t first = answer.find("Descale the kettle");
  ASSERT_NE(first, std::string::npos);
  EXPECT_EQ(answer.find("Descale the kettle", first + 1), std::string::npos) << answer;
}

}  // namespace
}  // namespace phial::rag
