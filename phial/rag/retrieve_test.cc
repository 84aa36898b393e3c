#include "phial/rag/retrieve.h"

#include <gmock/gmock.h>

#include <chrono>

#include "phial/rag/lexical.h"
#include "phial/rag/testing.h"

namespace phial::rag {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

class Retrieve : public LibraryTest {
 protected:
  Retrieval search(const std::string& question, const SearchOptions& options = {}) {
    Retriever retriever(*store, embedder);
    auto found = retriever.search(question, options);
    EXPECT_EQ(error_of(found), "");
    return found ? *found : Retrieval{};
  }
  std::string best(const std::string& question) {
    const auto found = search(question, {.vector_weight = 0.3F, .filter = {}});
    return found.hits.empty() ? "" : std::filesystem::path(found.hits[0].path).filename().string();
  }
};

TEST_F(Retrieve, ChineseJapaneseAndGermanWordsAreFoundInsideText) {
  write_file(docs() / "zh1.txt", "数据库文件可以在不同的机器之间复制。");
  write_file(docs() / "zh2.txt", "猫在花园里睡觉，狗在房子里。");
  write_file(docs() / "ja1.txt", "東京タワーは夜に美しく光ります。");
  write_file(docs() / "ja2.txt", "電車の切符は駅で買えます。");
  write_file(docs() / "de1.txt", "Die Donaudampfschifffahrtsgesellschaft sucht einen neuen Kapitän.");
  write_file(docs() / "de2.txt", "Die Krankenversicherungsbeiträge steigen im Januar.");
  write_file(docs() / "de3.txt", "Reparatur der Kaffeemaschine: zuerst den Stecker ziehen.");
  add();
  EXPECT_EQ(best("复制数据库"), "zh1.txt");
  EXPECT_EQ(best("花园里的猫"), "zh2.txt");
  EXPECT_EQ(best("東京の夜"), "ja1.txt");
  EXPECT_EQ(best("切符を買う"), "ja2.txt");
  EXPECT_EQ(best("Dampfschiff"), "de1.txt");
  EXPECT_EQ(best("Was kostet die Versicherung?"), "de2.txt");
  EXPECT_EQ(best("KRANKENVERSICHERUNGSBEITRAGE"), "de2.txt");
  EXPECT_EQ(best("Kaffeemaschinenreparatur"), "de3.txt");
}

TEST_F(Retrieve, ExactIdentifiersComeFirst) {
  write_file(docs() / "a.txt", "The code SQLITE_BUSY_SNAPSHOT is returned to a reader.");
  write_file(docs() / "b.txt", "A snapshot is busy. The sqlite code is busy with a snapshot of the snapshot.");
  write_file(docs() / "c.txt", "Part ZX-81-Q is in stock.");
  add();
  EXPECT_EQ(best("SQLITE_BUSY_SNAPSHOT"), "a.txt");
  EXPECT_EQ(best("zx-81-q"), "c.txt");
}

TEST_F(Retrieve, NeighboursAreJoinedExactlyAndDuplicatesDropped) {
  std::string text = "# Kettle\n\n";
  for (int i = 0; i < 60; ++i)
    text += "The kettle has property number " + std::to_string(i) + " which matters to all. ";
  write_file(docs() / "long.txt", text);
  write_file(docs() / "copy.txt", text + "One more word at the end.");
  add();
  const auto found = search("kettle property number 30");
  ASSERT_FALSE(found.hits.empty());
  for (const Hit& hit : found.hits) {
    const auto file = read_text_file(hit.path);
    EXPECT_EQ(file->substr(hit.passage.start, hit.passage.end - hit.passage.start), hit.passage.text);
  }
  const auto fates = [&](const std::string& part) {
    return std::count_if(found.candidates.begin(), found.candidates.end(),
                         [&](const Candidate& candidate) { return candidate.fate.find(part) != std::string::npos; });
  };
  EXPECT_GT(fates("joined"), 0);
  EXPECT_GT(fates("near-duplicate"), 0);
  EXPECT_EQ(explain(found)["candidates"].size(), found.candidates.size());
}

TEST_F(Retrieve, FiltersByPathAndDate) {
  write_file(docs() / "work/a.txt", "The kettle boils water at work.");
  write_file(docs() / "home/b.md", "The kettle boils water at home.");
  add();
  SearchOptions options;
  options.filter.paths = {"*.md"};
  EXPECT_THAT(search("kettle", options).hits.at(0).path, HasSubstr("b.md"));
  EXPECT_EQ(search("kettle", options).hits.size(), 1U);
  options.filter.paths = {"work"};
  EXPECT_THAT(search("kettle", options).hits.at(0).path, HasSubstr("a.txt"));
  options.filter.paths.clear();
  options.filter.since_ns = std::chrono::system_clock::now().time_since_epoch().count() + 1'000'000'000'000LL;
  EXPECT_TRUE(search("kettle", options).hits.empty());
}

TEST_F(Retrieve, IndexFollowsTheLibrary) {
  write_file(docs() / "a.txt", "The kettle boils water.");
  add();
  Retriever retriever(*store, embedder);
  EXPECT_EQ(retriever.search("kettle", {})->hits.size(), 1U);
  write_file(docs() / "b.txt", "Another kettle whistles loudly.");
  std::filesystem::remove(docs() / "a.txt");
  add();
  const auto found = retriever.search("kettle", {});
  ASSERT_EQ(found->hits.size(), 1U);
  EXPECT_THAT(found->hits[0].path, HasSubstr("b.txt"));
}

TEST(Lexical, WordsNumbersAndTerms) {
  const auto texts = [](std::string_view text) {
    std::vector<std::string> found;
    for (const Word& word : words_of(text)) found.push_back(word.text);
    return found;
  };
  EXPECT_THAT(texts("Don't pay 1,024.50 for Ärger!"), ElementsAre("don't", "pay", "1024.50", "for", "ärger"));
  EXPECT_THAT(texts("Elena's and Isla\u2019s don\u2019t"), ElementsAre("elena", "and", "isla", "don't"));
  EXPECT_THAT(texts("数据库"), ElementsAre("数据", "据库"));
  EXPECT_THAT(texts("水"), ElementsAre("水"));
  const auto terms = [](std::string_view question) {
    std::vector<std::pair<std::string, double>> found;
    for (const QueryTerm& term : query_terms(question)) found.emplace_back(term.text, term.share);
    return found;
  };
  EXPECT_THAT(terms("What is SQLITE_BUSY?"), ElementsAre(Pair("sqlite", 1), Pair("sqlite busy", 1), Pair("busy", 1)));
  EXPECT_THAT(terms("high-fat"), ElementsAre(Pair("high", 1), Pair("high fat", kStandInShare), Pair("fat", 1)));
  EXPECT_THAT(terms("the of and"), ElementsAre(Pair("the", 1), Pair("of", 1), Pair("and", 1)));
  EXPECT_EQ(any_of({"a\"b", std::string("c\0d", 3)}), "\"a\"\"b\" OR \"cd\"");
  EXPECT_EQ(rough_stem("answered"), rough_stem("answers"));
  EXPECT_EQ(rough_stem("stopping"), rough_stem("stops"));
  EXPECT_EQ(without_accents("beiträge"), "beitrage");
}

}  // namespace
}  // namespace phial::rag
