#include "phial/rag/word_scores.h"

#include <gmock/gmock.h>

#include "phial/rag/testing.h"

namespace phial::rag {
namespace {

class WordScores : public LibraryTest {
 protected:
  // One document of these passages.
  void put(const std::string& name, const std::vector<std::string>& texts, const std::string& context = "") {
    formats::ExtractedDocument document;
    std::vector<Passage> passages;
    for (const std::string& text : texts) {
      if (!document.text.empty()) document.text += "\n\n";
      const uint64_t start = document.text.size();
      document.text += text;
      passages.push_back({.start = start, .end = document.text.size(), .page = 0, .heading = {}, .context = context});
    }
    const auto vectors = embedder.embed(texts);
    ASSERT_EQ(error_of(store->put_document({.path = name, .hash = name, .error = {}, .remedy = {}}, document, passages,
                                           *vectors)),
              "");
  }
  std::vector<double> scores(const std::vector<QueryTerm>& terms) {
    VectorIndex index;
    EXPECT_EQ(error_of(index.refresh(*store)), "");
    auto found = word_scores(*store, index, terms);
    EXPECT_EQ(error_of(found), "");
    return found ? *found : std::vector<double>{};
  }
};

TEST_F(WordScores, NeighboursLendTheirWordsWithinADocument) {
  put("a", {"Kettles are described here.", "They boil in four minutes.", "The guarantee lasts two years."});
  put("b", {"Pumps are described here.", "They boil in four minutes.", "The guarantee lasts two years."});
  const auto found = scores({{"kettle"}, {"boil"}});
  ASSERT_EQ(found.size(), 6U);
  EXPECT_GT(found[1], found[4]);  // beside the passage that names the kettle
  EXPECT_GT(found[1], found[2]);
  EXPECT_GT(found[0], found[3]);
  EXPECT_EQ(scores({{"kettle"}})[3], 0);  // the next document is no neighbour
}

TEST_F(WordScores, OwnWordsCountMoreThanANeighbours) {
  put("a", {"A kettle stands here.", "A garden stands here.", "A ladder stands here.", "A wheel stands here."});
  const auto found = scores({{"kettle"}});
  EXPECT_GT(found[0], found[1]);
  EXPECT_GT(found[1], found[2]);
  EXPECT_GT(found[2], 0);
  EXPECT_EQ(found[3], 0);  // too far away
}

TEST_F(WordScores, AShareOfATermCountsThatMuch) {
  put("a", {"A kettle.", "A pump."});
  EXPECT_DOUBLE_EQ(scores({{"kettle", 0.25}})[0], 0.25 * scores({{"kettle"}})[0]);
}

TEST_F(WordScores, RareWordsRepeatedWordsAndShortPassagesWeighMore) {
  put("a", {"A kettle and a pump."});
  put("b", {"A pump."});
  put("c", {"A pump beside another pump."});
  put("d", {"A pump, a ladder, a garden, a wheel and a door."});
  EXPECT_GT(scores({{"kettle"}})[0], scores({{"pump"}})[0]);
  const auto found = scores({{"pump"}});
  EXPECT_GT(found[2], found[0]);
  EXPECT_GT(found[1], found[3]);
}

TEST_F(WordScores, ContextCountsAndPhrasesAreWhole) {
  put("a", {"Fill it with water."}, "Kettle");
  put("b", {"Fill it with oil."}, "Pump");
  put("c", {"The busy code of sqlite.", "The code sqlite busy."});
  EXPECT_GT(scores({{"kettle"}})[0], 0);
  EXPECT_EQ(scores({{"kettle"}})[1], 0);
  const auto found = scores({{"sqlite busy"}});
  EXPECT_GT(found[3], found[2]);
}

TEST_F(WordScores, NothingAskedOrNothingThereIsNoError) {
  EXPECT_TRUE(scores({{"kettle"}}).empty());
  put("a", {"A kettle."});
  EXPECT_THAT(scores({}), testing::ElementsAre(0));
  EXPECT_THAT(scores({{""}, {"\""}, {"!?"}}), testing::ElementsAre(0));
}

}  // namespace
}  // namespace phial::rag
