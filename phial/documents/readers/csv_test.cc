#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "phial/documents/testing.h"

namespace phial::documents {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(Csv, EachRowRepeatsTheNamesOfItsColumns) {
  EXPECT_THAT(outline(read_well("a.csv", "Name,Age,City\nAda,36,London\nBob,,\"New\nYork, NY\"\n")),
              ElementsAre("p:Name: Ada; Age: 36; City: London", "p:Name: Bob; City: New York, NY"));
}

TEST(Csv, TheDelimiterIsTheOneThatCutsRowsAlike) {
  EXPECT_THAT(outline(read_well("a.csv", "a;b\n1,5;2\n3,5;4\n")), ElementsAre("p:a: 1,5; b: 2", "p:a: 3,5; b: 4"));
  EXPECT_THAT(outline(read_well("a.tsv", "a\tb\n1\t2\n")), ElementsAre("p:a: 1; b: 2"));
  EXPECT_THAT(outline(read_well("a.csv", "a|b\n1|2\n")), ElementsAre("p:a: 1; b: 2"));
}

TEST(Csv, ATableWithoutNamesIsItsValues) {
  EXPECT_THAT(outline(read_well("a.csv", "1,2\n3,4\n")), ElementsAre("p:1; 2", "p:3; 4"));
  EXPECT_THAT(outline(read_well("a.csv", "Name,Age\n")), ElementsAre("p:Name; Age"));
}

TEST(Csv, YearsBesideAnEmptyCornerNameTheirColumns) {
  EXPECT_THAT(outline(read_well("a.csv", ",2020,2021\nRevenue,10,20\n")), ElementsAre("p:Revenue; 2020: 10; 2021: 20"));
}

TEST(Csv, TitlesAboveATableAndTheLineForSpreadsheetsAreNotItsHeader) {
  EXPECT_THAT(outline(read_well("a.csv", "Quarterly report\n\nName,Q1\nNorth,1\nSouth,3\n")),
              ElementsAre("p:Quarterly report", "p:Name: North; Q1: 1", "p:Name: South; Q1: 3"));
  EXPECT_THAT(outline(read_well("a.csv", "sep=;\nName;Sum\nAnna;1,5\n")), ElementsAre("p:Name: Anna; Sum: 1,5"));
}

TEST(Csv, ColumnsBeyondTheMostAreReported) {
  std::string row = "0";
  for (int i = 1; i < 2500; ++i) row += "," + std::to_string(i);
  EXPECT_THAT(read_well("a.csv", row + "\n" + row + "\n").warnings, ElementsAre(HasSubstr("columns after")));
}

TEST(Csv, QuotesMayBeDoubledAndAreOrdinaryWhereNeverClosed) {
  EXPECT_THAT(outline(read_well("a.csv", "a,b\n\"say \"\"hi\"\"\",2\n")), ElementsAre("p:a: say \"hi\"; b: 2"));
  EXPECT_THAT(outline(read_well("a.csv", "a,b\n\"open,2\nx,y\n")), ElementsAre("p:a: \"open; b: 2", "p:a: x; b: y"));
}

TEST(Csv, RowsMayBeLongerOrShorterThanTheHeader) {
  EXPECT_THAT(outline(read_well("a.csv", "a,b\n1\n1,2,3\n\n")), ElementsAre("p:a: 1", "p:a: 1; b: 2; 3"));
}

TEST(Code, GroupsAtTheLeftMarginAreBlocks) {
  const auto document = read_well("a.py", "import os\n\n\ndef f():\n    x = 1\n\n    return x\n\ndef g():\n    pass\n");
  EXPECT_EQ(document.format, "code");
  EXPECT_THAT(outline(document),
              ElementsAre("code:import os", "code:def f():\n    x = 1\n\n    return x", "code:def g():\n    pass"));
}

TEST(Code, ClosingBracketsStayWithWhatTheyClose) {
  EXPECT_THAT(outline(read_well("a.cc", "int f() {\n\n  return 1;\n\n}\n\nint g();\n")),
              ElementsAre("code:int f() {\n\n  return 1;\n\n}", "code:int g();"));
}

}  // namespace
}  // namespace phial::documents
