#include "phial/rag/evidence.h"

#include <gmock/gmock.h>

#include "phial/rag/retrieve.h"
#include "phial/rag/testing.h"

namespace phial::rag {
namespace {

using testing::Contains;
using testing::ElementsAre;

class EvidenceOf : public LibraryTest {
 protected:
  Evidence make(const std::string& question) {
    const auto found = Retriever(*store, embedder).search(question, {});
    EXPECT_EQ(error_of(found), "");
    auto evidence = Evidence::make(question, found->hits, *store, embedder, found->hits.size());
    EXPECT_EQ(error_of(evidence), "");
    return *std::move(evidence);
  }
  std::vector<std::string> words(const std::string& question) {
    std::vector<std::string> stems;
    const Evidence evidence = make(question);
    for (const QuestionWord& word : evidence.question_words()) stems.push_back(word.stem);
    return stems;
  }
  std::vector<std::string> labels(const std::string& text) {
    write_file(docs() / "letter.txt", text);
    add();
    std::vector<std::string> labels;
    const Evidence evidence = make("Which letter came?");
    for (const EvidenceSentence& sentence : evidence.sentences()) {
      if (sentence.reads_as_label) labels.push_back(sentence.text);
    }
    return labels;
  }
};

TEST_F(EvidenceOf, WordsThatOnlyAskCountForNothingUnlessNothingElseIsLeft) {
  EXPECT_THAT(words("What do I need to get for the oven?"), ElementsAre("oven"));
  EXPECT_THAT(words("What may happen to needed visitors?"), ElementsAre("visitor"));
  EXPECT_THAT(words("What was the revenue in May?"), ElementsAre("revenu", "may"));
  EXPECT_THAT(words("What do I need, and what is needed?"), ElementsAre("need"));
}

TEST_F(EvidenceOf, ChineseWordsThatOnlyAskLeaveNoPairs) {
  const auto asked = words("\u79DF\u671F\u4EC0\u4E48\u65F6\u5019\u7ED3\u675F?");  // when does the tenancy end
  EXPECT_THAT(asked, ElementsAre("\u79DF\u671F", "\u7ED3\u675F"));
  // "Purpose" and "understand" hold characters that join or ask elsewhere.
  EXPECT_THAT(words("\u76EE\u7684\u5730\u5728\u54EA\u91CC?"), Contains("\u76EE\u7684"));
  EXPECT_THAT(words("\u4E86\u89E3"), ElementsAre("\u4E86\u89E3"));
}

TEST_F(EvidenceOf, LinesOfCapitalizedNamesAreLabels) {
  EXPECT_THAT(labels("The letter came in May.\n\nHarbour Mutual Insurance Claims Department\n\nDear Ms "
                     "Marquetti,\n\nKind Regards"),
              ElementsAre("Harbour Mutual Insurance Claims Department", "Dear Ms Marquetti,", "Kind Regards"));
}

TEST_F(EvidenceOf, HeadingsOfPlainTextAreLabels) {
  EXPECT_THAT(
      labels("Rules of the letter room\n\nThe letter came in May.\n\n5.15. Temporary letters of the room\n\n3. Open "
             "the window.\n\n2.1. The window is green."),
      ElementsAre("Rules of the letter room", "5.15. Temporary letters of the room"));
}

TEST_F(EvidenceOf, WhatSaysSomethingIsNoLabel) {
  EXPECT_THAT(
      labels(
          "The letter came in May.\n\nDO NOT OPEN THE VALVE\n\nPhone: Ida Lund\n\nMill Lane, Ebersmoor\n\nWednesday 14 "
          "May\n\nWiFi\u5BC6\u7801\u662F Oriel\n\n\u79DF\u671F"),
      ElementsAre());
}

}  // namespace
}  // namespace phial::rag
